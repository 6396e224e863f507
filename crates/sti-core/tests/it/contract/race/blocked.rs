//! Sessions that come when the drop is already at work, and stand in the way of its locks.

use std::sync::{Arc, Mutex};

use sti_core::contract::{Blocked, Outcome, Retry, execute, leftovers};
use sti_core::probe::Step;
use sti_core::test_support::Session;

use super::oracle::{made, watched};
use crate::contract::rig::{
    columns_left, connector, nothing_is_left, on_retry, once_at, open, options, planned,
};

/// A row lock, an idle transaction that has read, one that has read another table.
const HOLDERS: [&str; 3] = [
    "SELECT * FROM projects_project FOR UPDATE",
    "SELECT count(*) FROM projects_project",
    "SELECT count(*) FROM projects_selfstudyproject",
];

/// It sits there while the locks are tried for and while the triggers should go: the drop gives up, says who it was,
/// and the next one takes away what is left.
#[test]
fn a_session_that_stays_is_named_and_what_is_left_goes_later() {
    for sql in HOLDERS {
        let database = Arc::new(watched());
        let digest = planned(&database, &options()).digest;
        let session = Arc::new(Mutex::new(Session::open(&database, "late")));
        let late = Arc::clone(&session);
        let mut blocking = options();
        blocking.probe = once_at(Step::Begin, move || late.lock().unwrap().run(&format!("BEGIN; {sql}")));
        let mut told: Vec<Retry> = Vec::new();
        let mut retrying = on_retry(|retry: &Retry| told.push(retry.clone()));
        let outcome = execute(&mut connector(database.url()), &blocking, &digest, &mut retrying).unwrap();
        drop(retrying);
        let Outcome::Blocked(Blocked { holders, attempts: 2, .. }) = outcome else {
            panic!("{sql}: {outcome:?}")
        };
        assert_eq!(holders.len(), 1, "{sql}: {holders:?}");
        assert_eq!(
            (holders[0].application.as_str(), holders[0].state.as_str()),
            ("late", "idle in transaction")
        );
        assert!(told.iter().all(|retry| retry.rest.as_millis() <= 1_600), "{told:?}");
        assert_eq!((columns_left(&database), database.count("sti_drop_event")), (5, 0), "{sql}");
        // The archive is gone; a trigger may not be, whose function does nothing any more.
        let left = leftovers(&mut open(&database)).unwrap();
        assert_eq!((left.runs.len(), left.archived), (0, 0), "{sql}: {left:?}");
        assert!(!left.triggers.is_empty(), "{sql}: {left:?}");
        let entries = left.entries;
        database.execute(
            "INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, \
                          owner_id) VALUES (gen_random_uuid(), '', 'school', true, now(), now(), 1)",
        );
        assert_eq!(leftovers(&mut open(&database)).unwrap().entries, entries, "{sql}");
        session.lock().unwrap().run("COMMIT");
        let outcome = execute(&mut connector(database.url()), &options(), &digest, &mut |_| ()).unwrap();
        made(&database, &outcome, sql);
    }
}

/// Two sessions read in turn, so that one of them always holds its lock.
#[test]
fn sessions_that_read_all_the_time_are_left_alone() {
    let database = Arc::new(watched());
    let digest = planned(&database, &options()).digest;
    let readers = ["first", "second"].map(|name| Session::open(&database, name));
    let read = "BEGIN; SELECT count(*) FROM projects_schoolproject";
    readers[0].run(read);
    let mut turn = 0;
    let mut options = options();
    options.attempts = 4;
    let mut retrying = on_retry(|_| {
        readers[1 - turn].run(read);
        readers[turn].run("COMMIT");
        turn = 1 - turn;
    });
    let outcome = execute(&mut connector(database.url()), &options, &digest, &mut retrying).unwrap();
    drop(retrying);
    let Outcome::Blocked(Blocked { attempts: 4, holders, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(holders.len(), 1, "{holders:?}");
    readers[turn].run("COMMIT");
    nothing_is_left(&database);
    let outcome = execute(&mut connector(database.url()), &options, &digest, &mut |_| ()).unwrap();
    made(&database, &outcome, "after the readers");
}
