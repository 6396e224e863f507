//! What `status` says at each station, and which step it names.

use sti_core::backfill::RunState;
use sti_core::both_backends;
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::expand::{self, NextStep, Status};
use sti_core::test_support::TestDatabase;

use super::rig::{definitions, up};

both_backends! { the_next_step_follows_from_what_is_there }

/// Through a connection that may only read, as the command does it.
fn status(database: &TestDatabase) -> Status {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    expand::status(&mut connect(&url, Access::Read, "status").unwrap()).unwrap()
}

fn the_next_step_follows_from_what_is_there(database: &TestDatabase) {
    assert_eq!(status(database).next_step, NextStep::Up);
    assert_eq!(definitions(database), Vec::<String>::new(), "looking makes nothing");

    up(database).unwrap();
    let ready = status(database);
    assert_eq!(ready.next_step, NextStep::DryRun);
    assert!(ready.last_run.is_none());
    assert!(ready.own.iter().all(|own| own.there));

    let run = |state: &str, finished: &str| {
        database.execute(&format!(
            "DELETE FROM sti_backfill_chunk; DELETE FROM sti_backfill_run; \
             INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, \
                 finished_at, tool_version, started_by) \
             VALUES ('{state}', false, 1, 10, '2026-01-02 03:04:05.678', {finished}, '1', 'me'); \
             INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, \
                 lease_expires_at, locked, created_school, equal_self_study) \
             SELECT id, 1, 1, '00000000000000000000000000000001', 'done', 't', 'me', '2026-01-02 03:04:05', 5, 3, 2 \
             FROM sti_backfill_run; \
             INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, \
                 lease_expires_at, locked, created_school) \
             SELECT id, 1, 2, '00000000000000000000000000000002', 'leased', 't', 'me', '2026-01-02 03:04:05', 7, 7 \
             FROM sti_backfill_run"
        ));
    };
    for (state, finished, expected, step) in [
        ("active", "NULL", RunState::Active, NextStep::Resume),
        ("failed", "'2026-01-02 03:05:06'", RunState::Failed, NextStep::RunAgain),
        ("abandoned", "'2026-01-02 03:05:06'", RunState::Abandoned, NextStep::RunAgain),
        ("done", "'2026-01-02 03:05:06'", RunState::Done, NextStep::Verify),
    ] {
        run(state, finished);
        let found = status(database);
        assert_eq!(found.next_step, step, "{state}");
        let last = found.last_run.unwrap();
        assert_eq!((last.state, last.eligible, last.started_by.as_str()), (expected, 10, "me"));
        assert_eq!(last.finished_at.is_some(), state != "active");
        // Only what committed counts.
        assert_eq!((last.totals.locked, last.totals.created.school, last.totals.equal.self_study), (5, 3, 2));
    }

    for column in sti_core::mapping::LEGACY_COLUMNS {
        database.execute(&format!("ALTER TABLE projects_project DROP COLUMN {column}"));
    }
    assert_eq!(status(database).next_step, NextStep::Mend);
    database
        .execute("INSERT INTO sti_drop_event (dropped_at, tool_version) VALUES ('2026-01-02 03:04:05', '1')");
    assert_eq!(status(database).next_step, NextStep::Nothing);
}
