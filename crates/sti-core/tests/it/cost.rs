//! What a chunk reads: its own projects and their rows, however large the table is. PostgreSQL counts the rows that a
//! session reads; a trigger writes the count down once in each chunk. (About once a second the server takes the counts
//! away from the session: what was read around that is not known.)

use sti_core::backfill::{Ending, Scope};
use sti_core::contract::back_out::{self, BackOut, BackOutOptions};
use sti_core::contract::restore::Restoration;
use sti_core::contract::{DropOptions, clear_leftovers};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;

use crate::backfill::rig::{config, run};
use crate::repository::rig::{migrate, owner};
use crate::restore::rig::{chunks_of, drop_by_hand, try_restore};

const PROJECTS: i64 = 20_000;

/// So many projects; every second one has its row.
fn half_done() -> TestDatabase {
    let database = TestDatabase::postgres();
    migrate(&database);
    database.execute(&format!(
        "INSERT INTO projects_project (id, name, project_type, course_name, is_draft, created_at, updated_at, owner_id) \
         SELECT md5(n::text)::uuid, 'p', 'school', 'course ' || n, false, now(), now(), 1 \
         FROM generate_series(1, {PROJECTS}) n; \
         INSERT INTO projects_schoolproject SELECT id, course_name, '', '' FROM projects_project \
         WHERE id < '80000000-0000-0000-0000-000000000000'; \
         ANALYZE"
    ));
    database
}

/// Notes how much has been read by now, whenever `event` happens, as in `UPDATE ON table FOR EACH ROW`.
fn note_at(database: &TestDatabase, event: &str) {
    database.execute(&format!(
        "CREATE TABLE reads (n serial, so_far bigint); \
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            INSERT INTO reads (so_far) SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables \
            WHERE relname LIKE 'projects\\_%' OR relname = 'sti_legacy_archive'; RETURN NULL; END $$; \
         CREATE TRIGGER note AFTER {event} EXECUTE FUNCTION note()"
    ));
}

/// From one note to the next no more than a few times a chunk of so many projects was read.
#[track_caller]
fn each_has_read_its_own(database: &TestDatabase, chunk: i64, chunks: i64) {
    let reads = "(SELECT so_far - lag(so_far) OVER (ORDER BY n) AS rows FROM reads) AS known WHERE rows >= 0";
    let number = |sql: &str| database.value(sql).parse::<i64>().unwrap();
    let known = number(&format!("SELECT count(*) FROM {reads}"));
    assert!(known > chunks / 2, "only {known} of {chunks} are known");
    let most = number(&format!("SELECT max(rows) FROM {reads}"));
    assert!((chunk..=10 * chunk).contains(&most), "{most} rows were read for a chunk of {chunk}");
}

#[test]
fn of_a_backfill() {
    const CHUNK: i64 = 200;
    let database = half_done();
    note_at(&database, "UPDATE ON sti_backfill_chunk FOR EACH ROW WHEN (NEW.state = 'done')");
    let done = run(&database, &config(CHUNK.try_into().unwrap(), Scope::NonDraft)).unwrap();
    assert_eq!((done.ending, done.totals.locked), (Ending::Complete, PROJECTS));
    // The commit of one chunk, the lease and the work of the next.
    each_has_read_its_own(&database, CHUNK, PROJECTS / CHUNK);
}

/// A catch-up sweep finds the few that lack their row in the ranges of its chunks, however large the tables are.
#[test]
fn of_a_catch_up_sweep() {
    const CHUNK: i64 = 200;
    let database = half_done();
    let mut config = config(CHUNK.try_into().unwrap(), Scope::NonDraft);
    let lost = std::sync::Mutex::new(Some(TestDatabase::url(&database).to_owned()));
    config.probe = Probe::new(move |step| {
        if step == Step::EndSweep
            && let Some(url) = lost.lock().unwrap().take()
        {
            let url = DatabaseUrl::parse(&url).unwrap();
            let mut connection = connect(&url, Access::Write, "test").unwrap();
            let lose = "DELETE FROM projects_schoolproject WHERE project_id::text LIKE '%77'";
            diesel::connection::SimpleConnection::batch_execute(&mut connection, lose).unwrap();
        }
    });
    note_at(
        &database,
        "UPDATE ON sti_backfill_chunk FOR EACH ROW WHEN (NEW.state = 'done' AND NEW.sweep = 2)",
    );
    let done = run(&database, &config).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert!(done.totals.locked > PROJECTS, "nothing was caught up with");
    each_has_read_its_own(&database, CHUNK, PROJECTS / CHUNK);
}

/// Right after the drop the archive has no statistics.
#[test]
fn of_a_refill() {
    const CHUNK: u32 = 200;
    let database = half_done();
    drop_by_hand(&database);
    note_at(
        &database,
        "UPDATE ON sti_drop_event FOR EACH ROW WHEN (NEW.refilled_through > OLD.refilled_through)",
    );
    try_restore(&database, &chunks_of(CHUNK)).unwrap();
    each_has_read_its_own(&database, CHUNK.into(), PROJECTS / i64::from(CHUNK));
}

/// A restore that ends with rows that are missing leaves its drop open until a backfill has made them.
#[test]
fn of_a_backfill_beside_a_drop_that_is_open() {
    const CHUNK: i64 = 200;
    let database = half_done();
    drop_by_hand(&database);
    let restored = try_restore(&database, &chunks_of(1000)).unwrap();
    assert!(matches!(restored, Restoration::NotVerified { .. }), "{restored:?}");
    note_at(&database, "UPDATE ON sti_backfill_chunk FOR EACH ROW WHEN (NEW.state = 'done')");
    let done = run(&database, &config(CHUNK.try_into().unwrap(), Scope::NonDraft)).unwrap();
    assert_eq!((done.ending, done.totals.locked), (Ending::Complete, PROJECTS));
    each_has_read_its_own(&database, CHUNK, PROJECTS / CHUNK);
}

#[test]
fn of_a_back_out() {
    let database = half_done();
    note_at(&database, "DELETE ON projects_schoolproject FOR EACH STATEMENT");
    let confirm = back_out::plan(&mut owner(&database)).unwrap().digest;
    let options = BackOutOptions { confirm, ..BackOutOptions::default() };
    let done = back_out::execute(&mut || Ok(owner(&database)), &options, &mut |_| ()).unwrap();
    assert!(matches!(done, BackOut::Done(_)), "{done:?}");
    each_has_read_its_own(&database, 1000, PROJECTS / 2 / 1000);
}

/// What a drop has left that was killed goes in chunks of 10,000, each of which reads its own.
#[test]
fn of_leftovers() {
    let database = half_done();
    database.execute(&format!(
        "INSERT INTO sti_drop_run (id, begun_at, seen_at, pid, rehearsal) VALUES (7, now(), now() - interval '1 day', 0, false); \
         INSERT INTO sti_legacy_archive (event_id, project_id, project_type, has_school, has_self_study) \
         SELECT 7, md5(n::text)::uuid, 'school', false, false FROM generate_series(1, {}) n",
        5 * PROJECTS
    ));
    note_at(&database, "DELETE ON sti_legacy_archive FOR EACH STATEMENT");
    clear_leftovers(&mut owner(&database), &DropOptions::default(), &mut |_| ()).unwrap();
    assert_eq!(database.count("sti_legacy_archive"), 0);
    each_has_read_its_own(&database, 10_000, 5 * PROJECTS / 10_000);
}
