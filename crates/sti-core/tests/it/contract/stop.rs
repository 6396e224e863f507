//! A drop that is asked to stop: until it has its locks it does, and takes away what it has made; under them it goes on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sti_core::backfill::StopSignal;
use sti_core::both_backends;
use sti_core::contract::{
    ContractError, DropOptions, Interrupt, Outcome, Progress, clear_leftovers, execute, leftovers, rehearse,
};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::postgres::PgBouncer;
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{
    columns_left, connector, drop_with, everything, nothing_is_left, once_at, open, options, planned, ready,
};

both_backends! {
    before_the_locks_it_stops,
    asked_before_it_begins_it_does_nothing,
    a_rehearsal_stops_too,
    when_the_columns_go_it_goes_on,
}

/// Ends every session of the drop.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'drop' \
                         AND datname = current_database() AND pid <> pg_backend_pid()";

/// How long anything that must happen may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// Options that can be asked to stop by the signal; `url` is for the connection that cancels.
fn interruptible_by(url: &str) -> (DropOptions, StopSignal) {
    let signal = StopSignal::default();
    let url = url.to_owned();
    let mut options = options();
    options.interrupt =
        Some(Interrupt { signal: signal.clone(), connect: Arc::new(move || connector(&url)()) });
    (options, signal)
}

fn interruptible(database: &TestDatabase) -> (DropOptions, StopSignal) {
    interruptible_by(database.url())
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

#[track_caller]
fn stopped<T: std::fmt::Debug>(ended: &Result<T, ContractError>, context: &str) {
    assert!(matches!(ended, Err(ContractError::Stopped)), "{context}: {ended:?}");
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
        stopped(&drop_with(database.url(), &options, &digest), &format!("{step:?}"));
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
    stopped(&drop_with(database.url(), &options, &digest), "asked before");
    assert_eq!(everything(database), before);
}

fn a_rehearsal_stops_too(database: &TestDatabase) {
    ready(database);
    let before = everything(database);
    let (mut options, signal) = interruptible(database);
    let step = if database.backend_name() == "postgres" { Step::CatchUp } else { Step::Write };
    options.probe = once_at(step, move || signal.stop());
    stopped(&rehearse(&mut connector(database.url()), &options, &mut |_| ()), "a rehearsal");
    nothing_is_left(database);
    assert_eq!(everything(database), before);
}

/// Its end comes in a moment, and that is told. Nobody cancels anything.
fn when_the_columns_go_it_goes_on(database: &TestDatabase) {
    let all = [Step::Begin, Step::Look, Step::Drop, Step::Record, Step::Commit];
    let steps = if database.backend_name() == "postgres" { &all[..] } else { &all[2..] };
    for step in steps {
        let database = super::rig::another(database);
        ready(&database);
        let digest = planned(&database, &options()).digest;
        let (mut options, signal) = interruptible(&database);
        let cancelling = Arc::new(AtomicU32::new(0));
        let (counted, url) = (Arc::clone(&cancelling), database.url().to_owned());
        let connect = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            connector(&url)()
        };
        options.interrupt = Some(Interrupt { signal: signal.clone(), connect: Arc::new(connect) });
        options.probe = once_at(*step, move || {
            signal.stop();
            // Long enough for whoever would cancel.
            thread::sleep(Duration::from_millis(200));
        });
        let outcome = drop_with(database.url(), &options, &digest).unwrap();
        assert!(matches!(outcome, Outcome::Done(_)), "{step:?}: {outcome:?}");
        assert_eq!((columns_left(&database), cancelling.load(Ordering::SeqCst)), (0, 0), "{step:?}");
    }
}

/// A drop of which some step waits for a lock, as one on a very large table would be at work.
struct Waiting {
    told: Vec<String>,
    ended: Result<Outcome, ContractError>,
}

/// Drops while somebody comes to hold `lock` when `at` is told; once the drop waits for that, does `meanwhile`. The
/// lock goes when the drop cleans up, or at the deadline.
fn waiting(
    database: &TestDatabase,
    url: &str,
    options: &DropOptions,
    at: &str,
    lock: &str,
    meanwhile: impl FnOnce(&Mutex<Session>),
) -> Waiting {
    let digest = planned(database, &super::rig::options()).digest;
    let session = Mutex::new(Session::open(database, "in the way"));
    let told = Mutex::new(Vec::new());
    let mut connector = connector(url);
    let ended = thread::scope(|scope| {
        let dropping = scope.spawn(|| {
            execute(&mut connector, options, &digest, &mut |progress: &Progress| {
                let words = format!("{progress:?}");
                if words.starts_with(at) {
                    session.lock().unwrap().run(&format!("BEGIN; {lock}"));
                }
                if words == "CleaningUp" {
                    session.lock().unwrap().run("COMMIT");
                }
                told.lock().unwrap().push(words);
            })
        });
        wait_until_it_waits(database, "drop");
        meanwhile(&session);
        let begun = Instant::now();
        while !dropping.is_finished() && begun.elapsed() < DEADLINE {
            thread::yield_now();
        }
        let in_time = dropping.is_finished();
        if !in_time {
            session.lock().unwrap().run("COMMIT");
        }
        let ended = dropping.join().unwrap();
        assert!(in_time, "it did not come back: {ended:?}");
        ended
    });
    session.into_inner().unwrap().run("COMMIT");
    Waiting { told: told.into_inner().unwrap(), ended }
}

const ARCHIVE: &str = "LOCK TABLE sti_legacy_archive IN SHARE MODE";

/// The statement is ended on the server, whichever it is.
#[test]
fn a_statement_that_runs_is_cancelled() {
    for (at, lock, told) in [
        ("Comparing", "LOCK TABLE projects_selfstudyproject", &["Comparing"][..]),
        (
            "ComparingAgain",
            "LOCK TABLE projects_selfstudyproject",
            &["Comparing", "Watching", "ComparingAgain", "CleaningUp"],
        ),
        (
            "Archiving",
            ARCHIVE,
            &["Comparing", "Watching", "ComparingAgain", "Archiving { projects: 4 }", "CleaningUp"],
        ),
    ] {
        let database = TestDatabase::postgres();
        ready(&database);
        let before = everything(&database);
        let (options, signal) = interruptible(&database);
        let waited = waiting(&database, database.url(), &options, at, lock, |_| signal.stop());
        stopped(&waited.ended, at);
        assert_eq!(waited.told, told);
        nothing_is_left(&database);
        assert_eq!(everything(&database), before);
    }
}

/// Somebody else's cancellation is no wish of ours.
#[test]
fn a_statement_that_somebody_else_cancels_is_a_failure() {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = everything(&database);
    let (options, _) = interruptible(&database);
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'drop' \
                  AND datname = current_database() AND wait_event_type = 'Lock'";
    let waited =
        waiting(&database, database.url(), &options, "Archiving", ARCHIVE, |_| database.execute(cancel));
    let Err(ContractError::Db(error)) = waited.ended else { panic!("{:?}", waited.ended) };
    assert!(error.to_string().contains("canceling statement due to user request"), "{error}");
    nothing_is_left(&database);
    assert_eq!(everything(&database), before);
}

/// No connection is to be had for the cancellation: the statement runs on, and the signal is seen behind it.
#[test]
fn without_a_second_connection_the_statement_runs_on() {
    let nobody = "postgres://nobody@127.0.0.1:1/nothing?sslmode=disable";
    assert!(connector(nobody)().is_err());
    let database = TestDatabase::postgres();
    ready(&database);
    let before = everything(&database);
    let (options, signal) = interruptible_by(nobody);
    let waited = waiting(&database, database.url(), &options, "Archiving", ARCHIVE, |session| {
        signal.stop();
        thread::sleep(Duration::from_millis(200));
        session.lock().unwrap().run("COMMIT");
    });
    stopped(&waited.ended, "without a second connection");
    nothing_is_left(&database);
    assert_eq!(everything(&database), before);
}

/// A pooler has one session of the server, and the drop's own transaction is in it: nobody waits for the other one.
#[test]
fn a_pooler_without_a_second_session_is_not_waited_for() {
    let database = TestDatabase::postgres();
    ready(&database);
    let bouncer = PgBouncer::before(&database, 1).unwrap();
    let (options, signal) = interruptible_by(bouncer.url());
    let waited = waiting(&database, bouncer.url(), &options, "Archiving", ARCHIVE, |session| {
        signal.stop();
        thread::sleep(Duration::from_millis(200));
        session.lock().unwrap().run("COMMIT");
    });
    stopped(&waited.ended, "behind a pooler");
    nothing_is_left(&database);
}

/// Through one with two, the cancellation finds the transaction.
#[test]
fn behind_a_pooler_the_statement_is_cancelled() {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = everything(&database);
    let bouncer = PgBouncer::before(&database, 3).unwrap();
    let (options, signal) = interruptible_by(bouncer.url());
    let waited = waiting(&database, bouncer.url(), &options, "Archiving", ARCHIVE, |_| signal.stop());
    stopped(&waited.ended, "behind a pooler");
    nothing_is_left(&database);
    assert_eq!(everything(&database), before);
}

/// A reader stays on a table, and the triggers cannot be made: nobody has to wait until all attempts are used up.
#[test]
fn between_two_attempts_at_a_lock_it_stops() {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = everything(&database);
    let digest = planned(&database, &options()).digest;
    let reader = Session::open(&database, "reports");
    reader.run("BEGIN; SELECT count(*) FROM projects_schoolproject");
    let (mut options, signal) = interruptible(&database);
    options.attempts = 100_000;
    let mut told = 0;
    let ended = execute(&mut connector(database.url()), &options, &digest, &mut |progress: &Progress| {
        if matches!(progress, Progress::Retry(_)) {
            told += 1;
            signal.stop();
        }
    });
    stopped(&ended, "between two attempts");
    assert_eq!(told, 1);
    reader.run("COMMIT");
    nothing_is_left(&database);
    assert_eq!(everything(&database), before);
}

/// What a drop has left whose connections were lost is still there when the next one is asked to stop, and is not
/// forgotten.
#[test]
fn what_another_one_has_left_stays_for_the_next_command() {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = everything(&database);
    let digest = planned(&database, &options()).digest;
    let mut lost = options();
    let url = database.url().to_owned();
    lost.probe = once_at(Step::CatchUp, move || {
        execute_on(&url, TERMINATE);
    });
    let mut first = Some(open(&database));
    let mut once = || {
        first.take().ok_or_else(|| {
            connector("postgres://nobody@127.0.0.1:1/nothing?sslmode=disable")().err().unwrap()
        })
    };
    let ended = execute(&mut once, &lost, &digest, &mut |_| ()).unwrap();
    assert!(matches!(ended, Outcome::NotDone { .. }), "{ended:?}");
    assert_eq!(leftovers(&mut open(&database)).unwrap().archived, 4);

    let (options, signal) = interruptible(&database);
    let ended = execute(&mut connector(database.url()), &options, &digest, &mut |progress: &Progress| {
        if matches!(progress, Progress::ClearingLeftovers) {
            signal.stop();
        }
    });
    stopped(&ended, "clearing what another one has left");
    assert_eq!(leftovers(&mut open(&database)).unwrap().archived, 4);
    clear_leftovers(&mut open(&database), &DropOptions::default(), &mut |_| ()).unwrap();
    nothing_is_left(&database);
    assert_eq!(everything(&database), before);
}

/// The wish to stop does not keep a drop from taking away its own after its connection was lost.
#[test]
fn what_a_lost_connection_has_left_is_taken_away_all_the_same() {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = everything(&database);
    let digest = planned(&database, &options()).digest;
    let (mut options, signal) = interruptible(&database);
    let url = database.url().to_owned();
    options.probe = once_at(Step::CatchUp, move || {
        execute_on(&url, TERMINATE);
        signal.stop();
    });
    let outcome = drop_with(database.url(), &options, &digest);
    assert!(matches!(outcome, Ok(Outcome::NotDone { .. }) | Err(ContractError::Stopped)), "{outcome:?}");
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
