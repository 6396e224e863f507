//! Every writer at every place.

use std::sync::{Arc, Mutex, Once};
use std::thread;

use sti_core::contract::Outcome;
use sti_core::probe::{Probe, Sabotage, Step};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::oracle::{made, refused, watched};
use super::writers::{ALL, DUAL, Must, Writer};
use crate::contract::rig::{drop_with, on_retry, once_at, options, planned};
use crate::verify::rig::id;

/// Drops, while `writer` writes at `step`.
fn race(database: &Arc<TestDatabase>, writer: Writer, step: Step) -> Outcome {
    let digest = planned(database, &options()).digest;
    let shared = Arc::clone(database);
    let mut options = options();
    options.probe = once_at(step, move || (writer.write)(&shared));
    drop_with(database.url(), &options, &digest).unwrap()
}

fn every_writer_at(step: Step) {
    for writer in ALL {
        let database = Arc::new(watched());
        let outcome = race(&database, writer, step);
        let context = format!("{} at {step:?}", writer.name);
        match writer.must {
            Must::Keep => made(&database, &outcome, &context),
            Must::Refuse(number) => refused(&database, &outcome, id(number), &context),
        }
    }
}

/// The snapshot, which is opened later, has it: there is nothing that could be taken out.
#[test]
fn before_the_change_log() {
    every_writer_at(Step::Prepare);
}

/// The snapshot has it here, too, as long as it is committed; `across_the_snapshot` is not.
#[test]
fn between_the_change_log_and_the_snapshot() {
    every_writer_at(Step::Snapshot);
}

#[test]
fn between_comparing_and_archiving() {
    every_writer_at(Step::Archive);
}

#[test]
fn between_the_snapshot_and_the_first_round() {
    every_writer_at(Step::CatchUp);
}

#[test]
fn within_a_round_after_the_log_was_taken() {
    every_writer_at(Step::CatchUpLook);
}

#[test]
fn between_the_last_round_and_the_locks() {
    every_writer_at(Step::Begin);
}

/// Drops, while a transaction writes before the snapshot and commits behind it: only the change log has it.
pub(super) fn across_the_snapshot(database: &Arc<TestDatabase>, sabotage: Sabotage) -> Outcome {
    let digest = planned(database, &options()).digest;
    let session = Mutex::new(Session::open(database, "across"));
    let mut options = options();
    let (begins, commits) = (Once::new(), Once::new());
    let probe = Probe::new(move |step| {
        let session = session.lock().unwrap();
        match step {
            Step::Snapshot => begins.call_once(|| {
                session.run(&format!("BEGIN; {}", late()));
            }),
            Step::CatchUp => commits.call_once(|| {
                session.run("COMMIT");
            }),
            _ => {}
        }
    });
    options.probe = probe.with_sabotage(sabotage);
    drop_with(database.url(), &options, &digest).unwrap()
}

/// Both sides of project 1, as a service writes them.
fn late() -> String {
    format!(
        "UPDATE projects_project SET teacher_name = 'late' WHERE id = '{0}'; \
         UPDATE projects_schoolproject SET teacher_name = 'late' WHERE project_id = '{0}'",
        id(1).hex()
    )
}

#[test]
fn a_transaction_that_is_open_when_the_snapshot_is_taken_is_in_the_change_log() {
    let database = Arc::new(watched());
    let outcome = across_the_snapshot(&database, Sabotage::None);
    made(&database, &outcome, "a transaction across the snapshot");
    assert_eq!(database.count("sti_legacy_archive WHERE teacher_name = 'late'"), 1);
}

/// It has written before the change log was there, and commits when the drop already waits for it.
///
/// Without a twin: to make a trigger is to wait for whoever writes, with the lock that is taken before it and without.
#[test]
fn a_transaction_that_is_open_when_the_change_log_comes_is_waited_for() {
    let database = watched();
    let digest = planned(&database, &options()).digest;
    let session = Session::open(&database, "early");
    session.run(&format!("BEGIN; {}", late()));
    let mut waited = 0;
    let mut commit = on_retry(|_| {
        waited += 1;
        session.run("COMMIT");
    });
    let mut connector = crate::contract::rig::connector(database.url());
    let outcome = sti_core::contract::execute(&mut connector, &options(), &digest, &mut commit).unwrap();
    drop(commit);
    assert_eq!(waited, 1);
    made(&database, &outcome, "an open transaction");
    assert_eq!(database.count("sti_legacy_archive WHERE teacher_name = 'late'"), 1);
}

/// It comes when the locks are held: after the drop its statement fails, and nothing that it was told is lost.
#[test]
fn plain_sql_that_waits_for_the_locks_fails_afterwards() {
    let database = Arc::new(watched());
    let digest = planned(&database, &options()).digest;
    let session = Arc::new(Mutex::new(Session::open(&database, "waiting")));
    let (shared, waiting) = (Arc::clone(&database), Arc::clone(&session));
    let mut options = options();
    options.probe = once_at(Step::Look, move || {
        let waiting = waiting.lock().unwrap();
        waiting.start("UPDATE projects_project SET teacher_name = 'late'");
        assert!(waiting.comes_to_wait(&shared));
    });
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    let answer = session.lock().unwrap().finish();
    assert!(answer.unwrap_err().contains("teacher_name"));
    made(&database, &outcome, "a statement that waits");
}

/// A service does not notice: its call succeeds, and is in the row.
#[test]
fn a_service_that_waits_for_the_locks_succeeds_afterwards() {
    let database = Arc::new(watched());
    let digest = planned(&database, &options()).digest;
    let service: Arc<Mutex<Option<thread::JoinHandle<()>>>> = Arc::default();
    let (shared, handle) = (Arc::clone(&database), Arc::clone(&service));
    let mut options = options();
    let started = Mutex::new(Some(open_service(&database)));
    options.probe = once_at(Step::Look, move || {
        let write = started.lock().unwrap().take().unwrap();
        *handle.lock().unwrap() = Some(thread::spawn(write));
        wait_until_it_waits(&shared, "application");
    });
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    service.lock().unwrap().take().unwrap().join().unwrap();
    let Outcome::Done(_) = outcome else { panic!("{outcome:?}") };
    assert_eq!(database.count("projects_schoolproject WHERE teacher_name = 'late'"), 1);
}

/// A service that is up already, and its write.
fn open_service(database: &TestDatabase) -> impl FnOnce() + Send + 'static {
    use crate::repository::rig::{open, teacher};
    let (mut connection, repository) = open(database, sti_core::WriteMode::Dual);
    move || {
        repository.update(&mut connection, id(1), &teacher("late")).unwrap();
    }
}

/// Many writes at once, at every place.
#[test]
fn a_service_that_writes_at_every_place() {
    let database = Arc::new(watched());
    let digest = planned(&database, &options()).digest;
    let shared = Arc::clone(&database);
    let mut options = options();
    let at = [Step::Prepare, Step::Snapshot, Step::Archive, Step::CatchUp, Step::Begin];
    options.probe = Probe::new(move |step| {
        if at.contains(&step) {
            (DUAL.write)(&shared);
        }
    });
    made(&database, &drop_with(database.url(), &options, &digest).unwrap(), "a busy service");
}
