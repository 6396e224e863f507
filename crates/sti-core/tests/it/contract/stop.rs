//! A drop that is asked to stop: before its locks it does, and takes away what it has made; under them it goes on.

use std::sync::{Arc, Mutex};

use sti_core::backfill::StopSignal;
use sti_core::both_backends;
use sti_core::contract::{ContractError, DropOptions, Interrupt, Outcome, Progress, execute, rehearse};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{
    columns_left, connector, drop_with, everything, nothing_is_left, once_at, open, options, planned, ready,
};

both_backends! {
    before_the_locks_it_stops,
    asked_before_it_begins_it_does_nothing,
    a_rehearsal_stops_too,
}

/// Options that can be asked to stop by the signal.
fn interruptible(database: &TestDatabase) -> (DropOptions, StopSignal) {
    let signal = StopSignal::default();
    let url = database.url().to_owned();
    let mut options = options();
    options.interrupt =
        Some(Interrupt { signal: signal.clone(), connect: Arc::new(move || connector(&url)()) });
    (options, signal)
}

fn steps(database: &TestDatabase) -> &'static [Step] {
    match database.backend_name() {
        "postgres" => &[Step::Prepare, Step::Snapshot, Step::Archive, Step::CatchUp, Step::CatchUpLook],
        _ => &[Step::Begin, Step::Lock, Step::Look, Step::Write],
    }
}

fn execute_on(url: &str, sql: &str) {
    use diesel::connection::SimpleConnection as _;
    connector(url)().unwrap().batch_execute(sql).unwrap();
}

fn before_the_locks_it_stops(database: &TestDatabase) {
    ready(database);
    let before = everything(database);
    let digest = planned(database, &options()).digest;
    for step in steps(database) {
        let (mut options, signal) = interruptible(database);
        let url = database.url().to_owned();
        options.probe = Probe::new(move |at| {
            if at == Step::CatchUp {
                // So that there is something in the change log.
                execute_on(&url, "UPDATE projects_project SET name = name");
            }
            if at == *step {
                signal.stop();
            }
        });
        let error = drop_with(database.url(), &options, &digest).unwrap_err();
        assert!(matches!(error, ContractError::Stopped), "{step:?}: {error}");
        nothing_is_left(database);
        assert_eq!(everything(database), before, "{step:?}");
    }
    let done = drop_with(database.url(), &options(), &digest).unwrap();
    assert!(matches!(done, Outcome::Done(_)), "{done:?}");
}

fn asked_before_it_begins_it_does_nothing(database: &TestDatabase) {
    ready(database);
    let before = everything(database);
    let digest = planned(database, &options()).digest;
    let (options, signal) = interruptible(database);
    signal.stop();
    let error = drop_with(database.url(), &options, &digest).unwrap_err();
    assert!(matches!(error, ContractError::Stopped), "{error}");
    assert_eq!(everything(database), before);
}

fn a_rehearsal_stops_too(database: &TestDatabase) {
    ready(database);
    let before = everything(database);
    let (mut options, signal) = interruptible(database);
    let step = if database.backend_name() == "postgres" { Step::CatchUp } else { Step::Write };
    options.probe = once_at(step, move || signal.stop());
    let error = rehearse(&mut open(database), &options, &mut |_| ()).unwrap_err();
    assert!(matches!(error, ContractError::Stopped), "{error}");
    nothing_is_left(database);
    assert_eq!(everything(database), before);
}

/// Under the locks it is at its end in a moment, and that is told.
#[test]
fn under_the_locks_it_goes_on() {
    for step in [Step::Begin, Step::Look, Step::Drop, Step::Commit] {
        let database = TestDatabase::postgres();
        ready(&database);
        let digest = planned(&database, &options()).digest;
        let (mut options, signal) = interruptible(&database);
        options.probe = once_at(step, move || signal.stop());
        let outcome = drop_with(database.url(), &options, &digest).unwrap();
        assert!(matches!(outcome, Outcome::Done(_)), "{step:?}: {outcome:?}");
        assert_eq!(columns_left(&database), 0);
    }
}

/// As one that archives a very large table: the statement is ended on the server.
#[test]
fn a_statement_that_runs_is_cancelled() {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = everything(&database);
    let digest = planned(&database, &options()).digest;
    let (options, signal) = interruptible(&database);
    let session = Mutex::new(Session::open(&database, "in the way"));
    let mut told = Vec::new();
    let mut connector = connector(database.url());
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| {
            execute(&mut connector, &options, &digest, &mut |progress: &Progress| {
                if matches!(progress, Progress::Archiving { .. }) {
                    session.lock().unwrap().run("BEGIN; LOCK TABLE sti_legacy_archive IN SHARE MODE");
                }
                if matches!(progress, Progress::CleaningUp) {
                    session.lock().unwrap().run("COMMIT");
                }
                told.push(format!("{progress:?}"));
            })
        });
        wait_until_it_waits(&database, "drop");
        signal.stop();
        let error = ended.join().unwrap().unwrap_err();
        assert!(matches!(error, ContractError::Stopped), "{error}");
    });
    assert_eq!(told, ["Comparing", "Watching", "ComparingAgain", "Archiving { projects: 4 }", "CleaningUp"]);
    nothing_is_left(&database);
    assert_eq!(everything(&database), before);
}

/// All that is told, in its order.
#[test]
fn every_step_is_told() {
    let database = TestDatabase::postgres();
    ready(&database);
    let digest = planned(&database, &options()).digest;
    let mut told = Vec::new();
    let outcome = execute(&mut connector(database.url()), &options(), &digest, &mut |progress: &Progress| {
        if matches!(progress, Progress::Archiving { .. }) {
            database.execute("UPDATE projects_project SET name = name");
        }
        told.push(format!("{progress:?}"));
    });
    assert!(matches!(outcome.unwrap(), Outcome::Done(_)));
    assert_eq!(
        told,
        [
            "Comparing",
            "Watching",
            "ComparingAgain",
            "Archiving { projects: 4 }",
            "CaughtUp { round: 1, entries: 4, left: 0 }",
            "Locking"
        ]
    );
}
