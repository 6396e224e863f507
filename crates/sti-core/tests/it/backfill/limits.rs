//! Limits of time: those that others set for the backfill's statements, those that it sets itself, and what is told about a
//! run that nobody works on.

use std::sync::Mutex;
use std::time::Duration;

use sti_core::backfill::status::{Condition, StatusReader};
use sti_core::backfill::{Ending, Scope, StopSignal};
use sti_core::observe::Event;
use sti_core::probe::{Probe, Step};
use sti_core::test_support::{Session, TestDatabase};

use super::rig::{Tell, config, insert_project, migrate, open, run, run_observed};

sti_core::both_backends! {
    a_run_that_was_stopped_is_not_said_to_be_worked_on,
}

fn set_up(database: &TestDatabase, projects: u32) {
    migrate(database);
    for number in 1..=projects {
        insert_project(database, number, "school", false);
    }
}

/// What reads a whole table takes as long as it takes (here because of a lock), whatever a role may do elsewhere.
#[test]
fn a_limit_of_the_role_does_not_end_what_reads_whole_tables() {
    let database = TestDatabase::postgres();
    set_up(&database, 3);
    let name = database.value("SELECT current_database()");
    let keeper = Mutex::new(Session::open(&database, "keeper"));
    database.execute(&format!("ALTER DATABASE {name} SET statement_timeout = '500ms'"));
    keeper.lock().unwrap().run("SET statement_timeout = 0");
    let keep = "BEGIN; LOCK TABLE projects_project IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.9); COMMIT";
    keeper.lock().unwrap().start(keep);
    let mut config = config(10, Scope::NonDraft);
    config.probe = Probe::new(move |step| {
        if step == Step::EndSweep {
            keeper.lock().unwrap().finish().unwrap();
            keeper.lock().unwrap().start(keep);
        }
    });
    let done = run(&database, &config).unwrap();
    assert_eq!((done.ending, done.totals.created.school), (Ending::Complete, 3));
}

/// Nobody waits behind it for a lock that it does not get, and it comes to an end.
#[test]
fn a_table_that_somebody_keeps_is_waited_for_and_given_up_before_the_run_begins() {
    let database = TestDatabase::postgres();
    set_up(&database, 3);
    let keeper = Mutex::new(Session::open(&database, "keeper"));
    keeper.lock().unwrap().run("BEGIN; LOCK TABLE projects_project IN ACCESS EXCLUSIVE MODE");
    let mut config = config(10, Scope::NonDraft);
    config.max_wait = Duration::from_millis(1);
    let error = run(&database, &config).unwrap_err();
    assert!(error.is_resumable(), "{error}");
    assert_eq!(database.count("sti_backfill_run"), 0);

    config.max_wait = Duration::from_secs(600);
    let release = |event: &Event| {
        if matches!(event, Event::LedgerRetried { .. }) {
            keeper.lock().unwrap().run("COMMIT");
        }
    };
    let done = run_observed(&database, &config, &Tell(release)).unwrap();
    assert_eq!((done.ending, done.totals.created.school), (Ending::Complete, 3));
}

/// Between two chunks, too; and `sti cancel` gets at the run meanwhile.
#[test]
fn a_table_that_somebody_keeps_is_given_up_between_two_chunks() {
    let database = TestDatabase::postgres();
    set_up(&database, 9);
    let keeper = Mutex::new(Session::open(&database, "keeper"));
    let mut config = config(3, Scope::NonDraft);
    config.max_wait = Duration::from_millis(1);
    let keep = |event: &Event| match event {
        Event::ChunkDone { .. } => {
            keeper.lock().unwrap().run("BEGIN; LOCK TABLE projects_project IN ACCESS EXCLUSIVE MODE");
        }
        // Nothing of ours waits now, and nothing of ours is held.
        Event::LedgerRetried { .. } => {
            database.execute("SET lock_timeout = '200ms'; SELECT id FROM sti_backfill_run FOR UPDATE");
        }
        _ => {}
    };
    let error = run_observed(&database, &config, &Tell(keep)).unwrap_err();
    assert!(error.is_resumable(), "{error}");
    keeper.lock().unwrap().run("COMMIT");
    let done = run(&database, &config).unwrap();
    assert_eq!((done.ending, done.resumed, done.totals.created.school), (Ending::Complete, true, 9));
}

/// A stop leaves word of itself, and who goes on takes it away.
fn a_run_that_was_stopped_is_not_said_to_be_worked_on(database: &TestDatabase) {
    set_up(database, 9);
    let mut config = config(3, Scope::NonDraft);
    let stop = StopSignal::default();
    config.stop = stop.clone();
    config.probe = Probe::new(move |step| {
        if step == Step::Commit {
            stop.stop();
        }
    });
    assert_eq!(run(database, &config).unwrap().ending, Ending::Stopped);
    let look = || StatusReader::default().read(&mut open(database)).unwrap().run.unwrap();
    let status = look();
    assert_eq!(status.condition, Condition::Stopped);
    let reason = status.run.stop_reason.unwrap();
    assert_eq!(reason, format!("{}: asked to stop", config.owner));

    let config = super::rig::config(3, Scope::NonDraft);
    let seen = Mutex::new(Vec::new());
    let see = |event: &Event| {
        if matches!(event, Event::ChunkDone { .. }) {
            let status = look();
            seen.lock().unwrap().push((status.condition, status.run.stop_reason));
            // It fails in the midst.
            database.execute("ALTER TABLE projects_schoolproject RENAME TO away");
        }
    };
    let error = run_observed(database, &config, &Tell(see)).unwrap_err();
    assert_eq!(seen.into_inner().unwrap(), [(Condition::Working, None)]);
    let status = look();
    assert_eq!(status.condition, Condition::Stopped);
    assert_eq!(status.run.stop_reason.unwrap(), format!("{}: {error}", config.owner));
}
