//! `sti-migrate status`.

use sti_core::both_backends;
use sti_core::test_support::TestDatabase;

use crate::rig::{named, on, snapshot, snapshot_formats, tables};

both_backends! { stations_of_an_empty_database }
both_backends! { django: the_database_of_django }

fn stations_of_an_empty_database(database: &TestDatabase) {
    let status = |name: &str, exit: i32| {
        snapshot(name, Some(database), &mut on(database, &["status"]), exit);
    };
    status("status_empty", 0);
    assert_eq!(tables(database), []);

    assert_eq!(on(database, &["up"]).output().unwrap().status.code(), Some(0));
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20240506070809')");
    status("status_ready", 0);

    database.execute(
        "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, sweep, eligible, started_at, \
             finished_at, stop_reason, tool_version, started_by) \
         VALUES ('failed', false, 1, 2, 12345, '2026-01-02 03:04:05.678', '2026-01-02 03:14:15', \
             'the disk is full', '0.1.0', 'host:1'); \
         INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, \
             lease_expires_at, locked, created_school, created_self_study, equal_school, conflict_self_study, unknown) \
         SELECT id, 1, 1, 'ffffffffffffffffffffffffffffffff', 'done', 't', 'host:1', '2026-01-02 03:04:05', \
             10000, 6000, 3000, 700, 200, 100 FROM sti_backfill_run",
    );
    status("status_run", 0);
    snapshot(
        &named("status_run_json", database),
        Some(database),
        &mut on(database, &["status", "--format", "json"]),
        0,
    );

    database.execute("ALTER TABLE projects_project DROP COLUMN course_code");
    status("status_misfit", 1);
}

fn the_database_of_django(database: &TestDatabase) {
    let before = tables(database);
    snapshot_formats("status_django", database, &["status"], 0);
    assert_eq!(tables(database), before);
}
