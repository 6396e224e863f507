//! What `sti status` and `sti runs` read, held against a ledger whose moments are chosen.

use sti_core::backfill::status::{Condition, RunStatus, StatusReader};
use sti_core::backfill::{BackfillError, Scope, Totals, control, runs};
use sti_core::test_support::TestDatabase;

use super::rig::{config, id, insert_project, migrate, open, run};

sti_core::both_backends! {
    without_a_run_there_is_nothing_to_see,
    each_state_of_a_run_is_told_apart,
    a_reader_that_goes_on_looking_adds_up_the_same,
    the_pace_is_that_of_the_last_minute,
    the_newest_runs_come_first,
}

fn read(database: &TestDatabase) -> RunStatus {
    StatusReader::default().read(&mut open(database)).unwrap().run.unwrap()
}

/// A moment by the database's clock, in SQL.
fn ago(database: &TestDatabase, seconds: i64) -> String {
    if database.backend_name() == "postgres" {
        format!("clock_timestamp() - interval '{seconds} seconds'")
    } else {
        format!("strftime('%Y-%m-%d %H:%M:%f000', 'now', '{} seconds')", -seconds)
    }
}

fn insert_run(database: &TestDatabase, state: &str) {
    database.execute(&format!(
        "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, tool_version, \
            started_by) VALUES ('{state}', false, 1, 1000, {}, '0', 'test/1/x')",
        ago(database, 3600)
    ));
}

/// A chunk of run 1: done so many seconds ago, or leased for so many seconds more.
fn insert_chunk(database: &TestDatabase, number: u32, state: &str, seconds: i64, locked: i64) {
    let (expires, finished) = match state {
        "done" => (ago(database, 0), ago(database, seconds)),
        _ => (ago(database, -seconds), "NULL".to_owned()),
    };
    database.execute(&format!(
        "INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, lease_expires_at, \
            leased_at, locked, created_school, duration_ms, finished_at) \
         VALUES (1, 1, {number}, '{}', '{state}', 't', 'test/1/x', {expires}, {}, {locked}, {locked}, 500, {finished})",
        id(number),
        ago(database, 10),
    ));
}

fn without_a_run_there_is_nothing_to_see(database: &TestDatabase) {
    let missing = StatusReader::default().read(&mut open(database)).unwrap_err();
    assert!(matches!(missing, BackfillError::SchemaNotReady { .. }), "{missing}");
    assert!(matches!(runs(&mut open(database), 1), Err(BackfillError::SchemaNotReady { .. })));
    migrate(database);
    let status = StatusReader::default().read(&mut open(database)).unwrap();
    assert!(status.run.is_none() && status.pause.is_none());
    assert!(runs(&mut open(database), 1).unwrap().is_empty());
    control::pause(&mut open(database), "not yet", "ana").unwrap();
    let status = StatusReader::default().read(&mut open(database)).unwrap();
    assert_eq!(status.pause.unwrap().reason, "not yet");
}

fn each_state_of_a_run_is_told_apart(database: &TestDatabase) {
    migrate(database);
    insert_run(database, "active");
    assert_eq!(read(database).condition, Condition::Stopped, "begun an hour ago, and no chunk");
    insert_chunk(database, 1, "done", 600, 100);
    assert_eq!(read(database).condition, Condition::Stopped);
    insert_chunk(database, 2, "leased", -20, 0);
    database.execute("UPDATE sti_backfill_chunk SET owner = '' WHERE number = 2");
    assert_eq!(read(database).condition, Condition::Stopped, "given back, so nobody stands still");
    database.execute("UPDATE sti_backfill_chunk SET owner = 'test/1/x' WHERE number = 2");
    let stalled = read(database);
    assert_eq!(stalled.condition, Condition::Stalled);
    assert!(stalled.leases[0].expired && stalled.leases[0].since.is_some());
    assert_eq!(stalled.time_left(), None);

    let wait = |seen: i64| {
        database.execute(&format!(
            "DELETE FROM sti_backfill_wait; INSERT INTO sti_backfill_wait VALUES (1, 'test/1/x', 'paused', 5000, \
                {}, 'paused by ana', {}, {})",
            database.either("true", "1"),
            ago(database, 900),
            ago(database, seen)
        ));
    };
    wait(2);
    let waiting = read(database);
    assert_eq!(waiting.condition, Condition::Waiting);
    assert!(waiting.waits[0].waiting && waiting.waits[0].waited.as_secs() >= 7);
    wait(300);
    let gone = read(database);
    assert_eq!(gone.condition, Condition::Stalled, "nobody has been heard of for five minutes");
    assert_eq!((gone.waits[0].waiting, gone.waits[0].waited.as_secs()), (false, 5));

    insert_chunk(database, 3, "leased", 40, 0);
    let working = read(database);
    assert_eq!(working.condition, Condition::Working);
    assert!(working.time_left().is_some());
    for (state, condition) in
        [("done", Condition::Done), ("failed", Condition::Failed), ("abandoned", Condition::GivenUp)]
    {
        database.execute(&format!("UPDATE sti_backfill_run SET state = '{state}'"));
        assert_eq!(read(database).condition, condition);
    }
}

/// Chunks are committed in another order than they are leased in, and the reader keeps sums.
fn a_reader_that_goes_on_looking_adds_up_the_same(database: &TestDatabase) {
    migrate(database);
    insert_run(database, "active");
    let mut reader = StatusReader::default();
    let mut look = |expected: i64| {
        let run = reader.read(&mut open(database)).unwrap().run.unwrap();
        assert_eq!(run.run.totals, read(database).run.totals, "as one who looks for the first time");
        assert_eq!(
            run.run.totals,
            Totals { locked: expected, created: run.run.totals.created, ..Totals::default() }
        );
    };
    look(0);
    insert_chunk(database, 1, "done", 9, 1);
    look(1);
    insert_chunk(database, 2, "leased", 60, 0);
    insert_chunk(database, 3, "done", 8, 10);
    look(11);
    insert_chunk(database, 4, "leased", 60, 0);
    insert_chunk(database, 5, "done", 7, 100);
    look(111);
    let done = |number: u32, locked: i64| {
        let now = ago(database, 0);
        database.execute(&format!(
            "UPDATE sti_backfill_chunk SET state = 'done', locked = {locked}, created_school = {locked}, \
                finished_at = {now} WHERE number = {number}"
        ));
    };
    done(4, 1000);
    look(1111);
    done(2, 10_000);
    look(11_111);
    insert_chunk(database, 6, "done", 1, 100_000);
    look(111_111);
    database.execute("UPDATE sti_backfill_run SET state = 'done'");
    insert_run(database, "active");
    look(0);
}

fn the_pace_is_that_of_the_last_minute(database: &TestDatabase) {
    migrate(database);
    insert_run(database, "active");
    assert_eq!(read(database).recent, None);
    insert_chunk(database, 1, "done", 3600, 1_000_000);
    for (number, seconds) in [(2, 20), (3, 15), (4, 10)] {
        insert_chunk(database, number, "done", seconds, 1000);
    }
    let status = read(database);
    let recent = status.recent.unwrap();
    assert_eq!((recent.chunks, recent.projects, recent.mean.as_millis()), (3, 3000, 500));
    assert!((280.0..=290.0).contains(&recent.rate), "3000 projects in 10.5 s: {}", recent.rate);
    assert!(status.last_checkpoint.is_some());
}

fn the_newest_runs_come_first(database: &TestDatabase) {
    migrate(database);
    for number in 1..=3 {
        insert_project(database, number, "school", false);
    }
    run(database, &config(2, Scope::NonDraft)).unwrap();
    run(database, &config(2, Scope::All)).unwrap();
    let all = runs(&mut open(database), 20).unwrap();
    let seen: Vec<_> =
        all.iter().map(|run| (run.run.0, run.totals.created.school, run.totals.equal.school)).collect();
    assert_eq!(seen, [(2, 0, 3), (1, 3, 0)]);
    assert_eq!(runs(&mut open(database), 1).unwrap().len(), 1);
}
