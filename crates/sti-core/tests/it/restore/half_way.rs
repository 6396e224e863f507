//! While the columns are back and not filled, nobody copies from them.

use sti_core::ProjectId;
use sti_core::backfill::{BackfillError, Ending, Scope, dry_run};
use sti_core::both_backends;
use sti_core::contract::Gate;
use sti_core::contract::restore::{Restoration, RestoreEvent, restore};
use sti_core::observe::Event;
use sti_core::test_support::TestDatabase;
use sti_core::verify::VerifyError;
use sti_core::verify::repair::{Direction, plan};

use super::rig::{begun, chunks_of, drop_by_hand, finished, legacy_digest, restored, try_restore};
use crate::backfill::rig::{Tell, config, run_observed};
use crate::contract::rig::{dropped, options, planned, ready};
use crate::repository::rig::{insert, migrate, owner};

both_backends! {
    nobody_copies_from_columns_that_are_not_filled,
    a_run_that_began_before_the_drop_copies_nothing,
    a_row_that_merely_went_costs_no_value,
    a_digest_is_good_for_one_drop,
    the_gates_of_a_drop_name_what_ends_the_restore,
}

fn nobody_copies_from_columns_that_are_not_filled(database: &TestDatabase) {
    migrate(database);
    for number in 1..=4 {
        insert(database, number, "other", [Some("a"), None, None, None, None]);
    }
    drop_by_hand(database);
    let gone = plan(&mut owner(database), Direction::Legacy, 0).unwrap_err();
    assert!(matches!(gone, VerifyError::LegacyColumnsGone), "a restore is not under way: {gone}");
    let options = chunks_of(2);
    let stop = options.stop.clone();
    let stopped = restore(&mut || Ok(owner(database)), &options, &mut |event| {
        if matches!(event, RestoreEvent::ChunkDone { .. }) {
            stop.stop();
        }
    });
    assert!(matches!(stopped.unwrap(), Restoration::Stopped(_)));
    let repair = |direction| plan(&mut owner(database), direction, 0);
    assert!(matches!(repair(Direction::Legacy).unwrap_err(), VerifyError::Refilling));
    assert!(repair(Direction::Subtype).is_ok());
    let count = || dry_run(&mut owner(database), Scope::All);
    assert!(matches!(count().unwrap_err(), BackfillError::Refilling));
    restored(database);
    assert!(repair(Direction::Legacy).is_ok());
    assert!(count().is_ok());
}

/// A backfill that has begun before the drop, and whose chunk comes after it and the first step of a restore: the columns
/// are there, and empty.
fn a_run_that_began_before_the_drop_copies_nothing(database: &TestDatabase) {
    migrate(database);
    for number in 1..=3 {
        insert(database, number, "school", [Some("a"), None, Some(""), None, None]);
    }
    let before = legacy_digest(database);
    let drop_and_begin_to_restore = Tell(|event: &Event| {
        if matches!(event, Event::RunStarted { .. }) {
            drop_by_hand(database);
            begun(database);
        }
    });
    let ended = run_observed(database, &config(10, Scope::All), &drop_and_begin_to_restore);
    assert!(matches!(ended, Err(BackfillError::Refilling)), "{ended:?}");
    assert_eq!(database.count("projects_schoolproject"), 0);
    let Restoration::NotVerified { .. } = try_restore(database, &chunks_of(2)).unwrap() else {
        panic!("rows are missing, and it counts as restored")
    };
    assert_eq!(legacy_digest(database), before);
}

fn a_row_that_merely_went_costs_no_value(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"), None, Some(""), None, None]);
    database.execute("INSERT INTO projects_schoolproject SELECT id, 'a', '', '' FROM projects_project");
    let before = legacy_digest(database);
    drop_by_hand(database);
    database.execute("DELETE FROM projects_schoolproject");
    let Restoration::NotVerified { .. } = try_restore(database, &chunks_of(2)).unwrap() else {
        panic!("a row is missing, and it counts as restored")
    };
    assert_eq!(legacy_digest(database), before);
    assert!(dry_run(&mut owner(database), Scope::All).is_ok(), "the backfill makes the row again");
    // Whatever comes now comes with its columns, though its id is greater than all that were refilled.
    insert(database, 9, "school", [Some("late"), None, None, None, None]);
    let done = run_observed(database, &config(10, Scope::All), &()).unwrap();
    assert_eq!((done.ending, done.totals.created.school), (Ending::Complete, 2));
    let Restoration::Done(restored) = try_restore(database, &chunks_of(2)).unwrap() else {
        panic!("not done")
    };
    assert_eq!((restored.resumed_after, restored.refilled.projects), (Some(ProjectId::MAX), 0));
    assert_eq!(database.count("projects_project WHERE course_name = 'late'"), 1);
}

/// Not filled, then filled and not finished. The restore's own triggers are nothing that somebody must change.
fn the_gates_of_a_drop_name_what_ends_the_restore(database: &TestDatabase) {
    ready(database);
    dropped(database, &options());
    begun(database);
    let shut = || {
        let plan = planned(database, &options());
        let shut = plan.shut().map(|result| (result.gate, result.fix.clone().unwrap_or_default()));
        shut.collect::<Vec<_>>()
    };
    let found = shut();
    assert!(found.iter().any(|(gate, _)| *gate == Gate::Drift), "{found:?}");
    assert!(found.iter().all(|(gate, _)| *gate != Gate::Dependents), "{found:?}");
    assert!(found.iter().all(|(_, fix)| fix.starts_with("sti-migrate restore-legacy")), "{found:?}");
    restored(database);
    assert_eq!(shut(), [(Gate::RestoreFinished, "sti-migrate restore-legacy --finish".to_owned())]);
    // As if it were finished: nobody else tells of the triggers then, and they would break what writes to the rows.
    database.execute("UPDATE sti_drop_event SET finished_at = restored_at");
    assert!(matches!(shut()[..], [(Gate::Dependents, _)]), "{:?}", shut());
}

fn a_digest_is_good_for_one_drop(database: &TestDatabase) {
    ready(database);
    let first = planned(database, &options()).digest;
    dropped(database, &options());
    restored(database);
    finished(database);
    assert_ne!(planned(database, &options()).digest, first);
}
