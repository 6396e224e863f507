//! What the drop waits for, how long, and who is not harmed by it.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use sti_core::contract::{Blocked, DropOptions, Outcome, Rehearsal, Retry, execute, rehearse};
use sti_core::probe::Step;
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};
use sti_core::test_support::{Session, TestDatabase, comes_to_wait, wait_until_it_waits};

use super::rig::{
    columns_left, connector, dropped, everything, on_retry, once_at, open, options, planned, ready, recorder,
    try_drop,
};

/// Everything that a drop has to wait for: a writer, a reader whose transaction stays open, and one of each on the
/// table that is locked last.
const HOLDERS: [&str; 4] = [
    "UPDATE projects_project SET name = 'held'",
    "SELECT count(*) FROM projects_project",
    "UPDATE projects_selfstudyproject SET study_frequency = study_frequency",
    "SELECT count(*) FROM projects_selfstudyproject",
];

#[test]
fn a_session_in_the_way_is_named_and_left_alone() {
    for sql in HOLDERS {
        let database = TestDatabase::postgres();
        ready(&database);
        let session = Session::open(&database, "application");
        session.run(&format!("BEGIN; {sql}"));
        let before = everything(&database);
        let outcome = try_drop(&database, &options()).unwrap();
        let Outcome::Blocked(Blocked { holders, attempts: 2, reason, plan, by_another_drop: false }) =
            outcome
        else {
            panic!("{sql}: {outcome:?}")
        };
        assert!(plan.is_open() && reason.contains("lock timeout"), "{reason}");
        let named: Vec<&str> = holders.iter().map(|holder| holder.application.as_str()).collect();
        assert_eq!(named, ["application"], "{sql}: {holders:?}");
        assert_eq!(holders[0].state, "idle in transaction");
        let blocked = rehearse(&mut connector(database.url()), &options(), &mut |_| ()).unwrap();
        assert!(matches!(blocked, Rehearsal::Blocked(_)), "{blocked:?}");
        assert_eq!((columns_left(&database), everything(&database)), (5, before), "{sql}");
        session.run("COMMIT");
        dropped(&database, &options());
    }
}

#[test]
fn the_next_attempt_gets_what_the_first_did_not() {
    let database = TestDatabase::postgres();
    ready(&database);
    let session = Session::open(&database, "application");
    session.run("BEGIN; UPDATE projects_project SET name = 'held'");
    let digest = planned(&database, &options()).digest;
    let mut told: Vec<Retry> = Vec::new();
    let mut retrying = on_retry(|retry: &Retry| {
        told.push(retry.clone());
        session.run("COMMIT");
    });
    let outcome = execute(&mut connector(database.url()), &options(), &digest, &mut retrying).unwrap();
    drop(retrying);
    assert!(matches!(&outcome, Outcome::Done(done) if done.attempts == 2), "{outcome:?}");
    let [Retry { attempt: 1, attempts: 2, holders, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(holders[0].application, "application");
}

/// It has written to the table that is locked last, and now wants the one that the drop has already: whoever waits
/// longer than `deadlock_timeout` would be the victim. The drop gives up first.
#[test]
fn an_innocent_session_is_never_the_victim_of_a_deadlock() {
    // Long enough to see the drop wait, whatever else this machine has to do.
    let patient = ServerOptions::new().setting("deadlock_timeout", "8s");
    let server = Server::start(&Binaries::from_environment().unwrap(), &patient).unwrap();
    let database = Arc::new(TestDatabase::postgres_on(&server));
    ready(&database);
    let session = Session::open(&database, "innocent");
    session.run("BEGIN; UPDATE projects_selfstudyproject SET study_frequency = 'weekly'");
    let mut options = options();
    // What a person might set; it is cut below half of deadlock_timeout.
    options.lock_timeout = Duration::from_secs(60);
    options.attempts = 1;
    let shared = Arc::clone(&database);
    let drop = std::thread::spawn(move || try_drop(&shared, &options).unwrap());
    wait_until_it_waits(&database, "drop");
    session.start("UPDATE projects_project SET name = 'after all' WHERE is_draft");
    let outcome = drop.join().unwrap();
    session.finish().unwrap();
    session.run("COMMIT");
    assert!(matches!(outcome, Outcome::Blocked(_)), "{outcome:?}");
    assert_eq!(database.count("projects_project WHERE name = 'after all'"), 2);
    assert_eq!(database.value("SELECT study_frequency FROM projects_selfstudyproject"), "weekly");
}

/// All three tables are locked by the first statement, and whoever comes waits for the end.
#[test]
fn under_the_locks_everybody_waits() {
    for table in ["projects_project", "projects_schoolproject", "projects_selfstudyproject"] {
        let database = Arc::new(TestDatabase::postgres());
        ready(&database);
        let session = Arc::new(std::sync::Mutex::new(Session::open(&database, "reader")));
        let mut options = options();
        let (shared, reader) = (Arc::clone(&database), Arc::clone(&session));
        options.probe = once_at(Step::Look, move || {
            let reader = reader.lock().unwrap();
            reader.start(&format!("SELECT count(*) FROM {table}"));
            assert!(reader.comes_to_wait(&shared), "{table} can be read under the locks");
        });
        dropped(&database, &options);
        session.lock().unwrap().finish().unwrap();
    }
}

fn impatient(
    database: &TestDatabase,
) -> impl FnMut() -> Result<sti_core::db::AnyConnection, sti_core::db::ConnectError> {
    let mut connect = connector(database.url());
    move || {
        let mut connection = connect()?;
        connection.batch_execute("PRAGMA busy_timeout = 10").unwrap();
        Ok(connection)
    }
}

fn on_sqlite(sql: &str, expected_steps: &[Step]) {
    let database = TestDatabase::sqlite();
    ready(&database);
    let mut holder = open(&database);
    holder.batch_execute(sql).unwrap();
    let (probe, steps) = recorder();
    let mut options: DropOptions = options();
    options.probe = probe;
    let digest = planned(&database, &options).digest;
    let outcome = execute(&mut impatient(&database), &options, &digest, &mut |_| ()).unwrap();
    let Outcome::Blocked(blocked) = outcome else { panic!("{outcome:?}") };
    assert_eq!((blocked.attempts, blocked.holders), (2, Vec::new()));
    assert!(blocked.reason.contains("database is locked"), "{}", blocked.reason);
    assert_eq!(*steps.lock().unwrap(), [expected_steps, expected_steps].concat());
    holder.batch_execute("ROLLBACK").unwrap();
    assert_eq!((columns_left(&database), database.count("sti_drop_event")), (5, 0));
    dropped(&database, &options);
}

#[test]
fn on_sqlite_a_writer_is_waited_for() {
    on_sqlite("BEGIN IMMEDIATE", &[Step::Begin]);
}

/// Without WAL, COMMIT has to wait for the readers; it fails, and everything is rolled back.
#[test]
fn on_sqlite_a_reader_is_waited_for_at_commit() {
    let all = [Step::Begin, Step::Lock, Step::Look, Step::Write, Step::Drop, Step::Record, Step::Commit];
    on_sqlite("BEGIN; SELECT count(*) FROM projects_project", &all);
}

#[test]
fn nobody_waits_for_a_plan() {
    let database = TestDatabase::postgres();
    ready(&database);
    let session = Session::open(&database, "application");
    session.run("BEGIN; UPDATE projects_project SET name = 'held'");
    let planned = planned(&database, &options());
    assert!(planned.is_open());
    let seen: Vec<&str> = planned.sessions.iter().map(|session| session.application.as_str()).collect();
    assert!(seen.contains(&"application"), "{seen:?}");
    assert!(!comes_to_wait(&database, "application", || true));
    session.run("ROLLBACK");
}
