//! The connection is lost: what the command says is what the catalogue says.

use std::sync::Arc;
use std::thread;

use sti_core::contract::{Answer, Outcome, Rehearsal, execute, rehearse};
use sti_core::probe::Step;
use sti_core::test_support::postgres::{Cut, CuttingProxy};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{columns_left, connector, drop_with, everything, once_at, options, planned, ready, steps};

/// What only the transaction of the drop says.
const MARKER: &str = "INSERT INTO sti_drop_event";

/// A database that is ready, and what confirms its drop.
fn confirmed() -> (TestDatabase, String) {
    let database = TestDatabase::postgres();
    ready(&database);
    let digest = planned(&database, &options()).digest;
    (database, digest)
}

/// The next command makes the drop, or finds it made.
#[track_caller]
fn next_command_says(database: &TestDatabase, digest: &str, answer: Answer) {
    let Outcome::Done(done) = drop_with(database.url(), &options(), digest).unwrap() else {
        panic!("not done")
    };
    assert_eq!((done.answer, done.archived, columns_left(database)), (answer, 4, 0));
    assert_eq!((database.count("sti_drop_event"), database.count("sti_legacy_archive")), (1, 4));
}

#[test]
fn a_commit_that_never_arrived_is_not_done() {
    let (database, digest) = confirmed();
    let before = everything(&database);
    let proxy = CuttingProxy::before(&database, MARKER, Cut::BeforeCommit);
    let outcome = drop_with(proxy.url(), &options(), &digest).unwrap();
    assert!(proxy.has_cut());
    assert!(matches!(outcome, Outcome::NotDone { .. }), "{outcome:?}");
    assert_eq!((columns_left(&database), everything(&database)), (5, before));
    next_command_says(&database, &digest, Answer::Commit);
}

#[test]
fn a_commit_whose_answer_is_lost_is_done() {
    let (database, digest) = confirmed();
    let proxy = CuttingProxy::before(&database, MARKER, Cut::AfterCommit);
    let outcome = drop_with(proxy.url(), &options(), &digest).unwrap();
    assert!(proxy.has_cut());
    let Outcome::Done(done) = outcome else { panic!("{outcome:?}") };
    assert_eq!((done.answer, done.archived, done.attempts), (Answer::Catalogue, 4, 1));
    assert_eq!(columns_left(&database), 0);
    next_command_says(&database, &digest, Answer::Earlier);
}

#[test]
fn a_database_that_cannot_be_asked_leaves_it_unknown() {
    for (cut, columns, next) in
        [(Cut::BeforeCommit, 5, Answer::Commit), (Cut::AfterCommit, 0, Answer::Earlier)]
    {
        let (database, digest) = confirmed();
        let proxy = CuttingProxy::before_and_unreachable_afterwards(&database, MARKER, cut);
        let outcome = drop_with(proxy.url(), &options(), &digest).unwrap();
        let Outcome::Unknown { event, seen, .. } = &outcome else { panic!("{cut:?}: {outcome:?}") };
        assert_eq!(*event, 1, "{cut:?}");
        assert!(seen.starts_with("the database could not be asked: cannot connect"), "{seen}");
        assert_eq!(columns_left(&database), columns, "{cut:?}");
        next_command_says(&database, &digest, next);
    }
}

fn end_all_sessions(url: &str) {
    use diesel::connection::SimpleConnection as _;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    connector(url)().unwrap().batch_execute(others).unwrap();
}

/// An administrator ends the session, at each step of it.
#[test]
fn a_session_that_is_ended_has_done_nothing() {
    let (database, digest) = confirmed();
    let before = everything(&database);
    let within = |step: &&Step| !matches!(step, Step::Prepare | Step::Begin);
    for step in steps(&database).iter().filter(within).copied() {
        let url = database.url().to_owned();
        let mut options = options();
        options.probe = once_at(step, move || end_all_sessions(&url));
        let outcome = drop_with(database.url(), &options, &digest).unwrap();
        assert!(matches!(outcome, Outcome::NotDone { .. }), "{step:?}: {outcome:?}");
        assert_eq!(columns_left(&database), 5, "{step:?}");
        assert_eq!(everything(&database), before, "{step:?}");
    }
    next_command_says(&database, &digest, Answer::Commit);
}

/// A rehearsal has nothing that it could have done, and takes away what it has made all the same.
#[test]
fn a_rehearsal_whose_session_is_ended_leaves_nothing() {
    let (database, _) = confirmed();
    let before = everything(&database);
    for step in [Step::Snapshot, Step::Archive, Step::CatchUp, Step::Look, Step::Record] {
        let url = database.url().to_owned();
        let mut options = options();
        options.probe = once_at(step, move || end_all_sessions(&url));
        let rehearsal = rehearse(&mut connector(database.url()), &options, &mut |_| ()).unwrap();
        assert!(matches!(rehearsal, Rehearsal::NotDone { .. }), "{step:?}: {rehearsal:?}");
        assert_eq!(everything(&database), before, "{step:?}");
    }
}

/// Also where that happens while it takes away what it has made: it was rehearsed, and a fresh connection does the rest.
#[test]
fn a_session_that_is_ended_in_the_clean_up_leaves_nothing() {
    let (database, _) = confirmed();
    let before = everything(&database);
    let url = database.url().to_owned();
    let mut options = options();
    options.probe = once_at(Step::CleanUp, move || end_all_sessions(&url));
    let rehearsal = rehearse(&mut connector(database.url()), &options, &mut |_| ()).unwrap();
    assert!(matches!(rehearsal, Rehearsal::Rehearsed { .. }), "{rehearsal:?}");
    assert_eq!(everything(&database), before);
}

/// The server may not have noticed yet that we are gone: until that session has ended, the catalogue's answer is none.
#[test]
fn the_end_of_the_lost_session_is_waited_for() {
    let (database, digest) = confirmed();
    let proxy = CuttingProxy::before(&database, MARKER, Cut::BeforeCommit);
    let database = Arc::new(database);
    let (mut through_proxy, mut calls, mut ender) = (connector(proxy.url()), 0, None);
    let mut connector = || {
        calls += 1;
        if calls == 2 {
            let lingering = Session::open(&database, "lingering");
            lingering.run("BEGIN; LOCK TABLE projects_project IN ACCESS EXCLUSIVE MODE");
            let database = Arc::clone(&database);
            ender = Some(thread::spawn(move || {
                wait_until_it_waits(&database, "drop");
                lingering.run("COMMIT");
            }));
        }
        through_proxy()
    };
    let outcome = execute(&mut connector, &options(), &digest, &mut |_| ()).unwrap();
    assert!(matches!(outcome, Outcome::NotDone { .. }), "{outcome:?}");
    ender.unwrap().join().unwrap();
}
