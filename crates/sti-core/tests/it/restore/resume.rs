//! A restore that ended anywhere is gone on with by the next one.

use std::sync::{Arc, Mutex};

use sti_core::both_backends;
use sti_core::contract::restore::{Restoration, RestoreEvent, RestoreOptions, restore};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{chunks_of, drop_by_hand, legacy_digest, restored, try_restore};
use crate::repository::rig::{LEGACY, add_columns, drop_columns, id, insert, migrate, owner};

both_backends! {
    stopped_behind_each_chunk,
    torn_down_at_each_step_of_each_chunk,
    columns_that_another_tool_brought_back,
    columns_that_another_tool_brought_back_in_part,
    triggers_that_somebody_took_away,
    two_at_once,
}

const PROJECTS: u32 = 7;

fn plant(database: &TestDatabase) {
    migrate(database);
    for number in 1..=PROJECTS {
        insert(database, number, "other", [Some("a"), None, Some(""), Some("goal"), None]);
    }
}

fn stopped_behind_each_chunk(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    for chunk in 1..=3 {
        let options = chunks_of(2);
        let stop = options.stop.clone();
        let stopped = restore(&mut || Ok(owner(database)), &options, &mut |event| {
            if matches!(event, RestoreEvent::ChunkDone { .. }) {
                stop.stop();
            }
        });
        let Restoration::Stopped(restored) = stopped.unwrap() else { panic!("not stopped") };
        assert_eq!((restored.refilled.chunks, restored.refilled.projects), (1, 2));
        assert_eq!(restored.began.is_some(), chunk == 1);
        assert_eq!(restored.resumed_after, (chunk > 1).then(|| id(2 * chunk - 2)));
    }
    let rest = restored(database);
    assert_eq!((rest.refilled.projects, rest.resumed_after), (1, Some(id(6))));
    assert_eq!(legacy_digest(database), before);
}

/// As a process that dies does it: the connection is gone, nothing is said.
fn torn_down_at_each_step_of_each_chunk(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    for (nth, step) in (0..).zip([Step::Lock, Step::Look, Step::Write, Step::Record, Step::Commit]) {
        let chunks = Arc::new(Mutex::new(0));
        let probe = Probe::new(move |at| {
            if at == step {
                let mut seen = chunks.lock().unwrap();
                *seen += 1;
                // One chunk comes through, the second one does not.
                assert!(*seen < 2, "torn down");
            }
        });
        let options = RestoreOptions { probe, ..chunks_of(1) };
        let torn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            restore(&mut || Ok(owner(database)), &options, &mut |_| {})
        }));
        assert!(torn.is_err(), "{step:?}");
        let through = database.value("SELECT refilled_through FROM sti_drop_event").replace('-', "");
        assert_eq!(through, id(nth + 1).hex(), "{step:?}");
    }
    let rest = restored(database);
    assert_eq!(rest.refilled.projects, 2);
    assert_eq!(legacy_digest(database), before);
}

fn columns_that_another_tool_brought_back(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    add_columns(database);
    let restored = restored(database);
    assert_eq!(restored.began.unwrap().added, [""; 0]);
    assert_eq!(legacy_digest(database), before);
}

fn columns_that_another_tool_brought_back_in_part(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    add_columns(database);
    drop_columns(database, &["course_code", "study_frequency"]);
    let restored = restored(database);
    assert_eq!(restored.began.unwrap().added, ["course_code", "study_frequency"]);
    assert_eq!(legacy_digest(database), before);
}

/// What was refilled so far may have fallen behind: it is refilled anew.
fn triggers_that_somebody_took_away(database: &TestDatabase) {
    migrate(database);
    for number in 1..=PROJECTS {
        insert(database, number, "school", [Some("a"), None, Some(""), Some("goal"), None]);
        crate::repository::rig::insert_row(database, sti_core::models::Kind::School, number, &["a", "", ""]);
    }
    drop_by_hand(database);
    let options = chunks_of(5);
    let stop = options.stop.clone();
    let stopped = restore(&mut || Ok(owner(database)), &options, &mut |_| stop.stop()).unwrap();
    assert!(matches!(stopped, Restoration::Stopped(_)), "{stopped:?}");
    database.execute(database.either(
        "DROP TRIGGER sti_restore_row ON projects_schoolproject",
        "DROP TRIGGER sti_restore_school_update",
    ));
    database.execute("UPDATE projects_schoolproject SET course_name = 'new'");
    let restored = restored(database);
    assert_eq!((restored.refilled.projects, restored.resumed_after), (i64::from(PROJECTS), None));
    assert_eq!(restored.began.unwrap().added, [""; 0]);
    assert_eq!(database.count("projects_project WHERE course_name = 'new'"), i64::from(PROJECTS));
}

fn two_at_once(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    let both = std::thread::scope(|scope| {
        let one = || scope.spawn(|| try_restore(database, &chunks_of(1)).unwrap());
        [one(), one()].map(|thread| thread.join().unwrap())
    });
    let mut projects = 0;
    for restoration in both {
        match restoration {
            Restoration::Done(restored) => projects += restored.refilled.projects,
            Restoration::Already { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(projects <= i64::from(PROJECTS), "no project was counted twice: {projects}");
    assert_eq!(legacy_digest(database), before);
    assert_eq!(database.count("sti_drop_event WHERE restored_at IS NOT NULL"), 1);
}

/// The first look is one moment's: with the columns of before and the event of after the other restore, the drop would
/// look like one that is not on record.
#[test]
fn another_restore_ends_in_the_middle_of_the_first_look() {
    let database = TestDatabase::postgres();
    plant(&database);
    drop_by_hand(&database);
    let other = Session::open(&database, "other");
    other.run("BEGIN; LOCK TABLE sti_drop_event IN ACCESS EXCLUSIVE MODE");
    let restoration = std::thread::scope(|scope| {
        let late = scope.spawn(|| try_restore(&database, &chunks_of(1)));
        wait_until_it_waits(&database, "owner");
        let columns = LEGACY.map(|column| format!("ALTER TABLE projects_project ADD COLUMN {column} text; "));
        let done = "UPDATE sti_drop_event SET restore_began_at = now(), restored_at = now()";
        other.run(&format!("{} {done}; COMMIT", columns.concat()));
        late.join().unwrap()
    });
    assert!(matches!(restoration, Ok(Restoration::Already { .. })), "{restoration:?}");
}
