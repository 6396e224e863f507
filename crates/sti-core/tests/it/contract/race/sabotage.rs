//! Each lock, each second statement and the change log itself taken out: the same write is lost.

use std::sync::Arc;

use sti_core::contract::Outcome;
use sti_core::probe::{Sabotage, Step};

use super::oracle::{lost, watched};
use super::places;
use super::writers::{ALL, Writer};
use crate::contract::rig::{drop_with, once_at, options, planned};

/// Drops with something taken out, while `writer` writes at `step`; gives what is lost.
fn lost_without(sabotage: Sabotage, step: Step, writer: Writer) -> Vec<String> {
    let database = Arc::new(watched());
    let digest = planned(&database, &options()).digest;
    let shared = Arc::clone(&database);
    let mut options = options();
    options.probe = once_at(step, move || (writer.write)(&shared)).with_sabotage(sabotage);
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    let Outcome::Done(done) = outcome else { panic!("{sabotage:?} at {step:?}: {outcome:?}") };
    lost(&database, done.event)
}

fn every_writer_loses(sabotage: Sabotage, step: Step) {
    for writer in ALL {
        let lost = lost_without(sabotage, step, writer);
        assert!(!lost.is_empty(), "{} at {step:?}", writer.name);
    }
}

/// Without the triggers a write behind the snapshot is never seen: that of a service is not in the archive, that of the
/// legacy columns alone is gone.
mod the_change_log {
    use super::*;

    #[test]
    fn between_comparing_and_archiving() {
        every_writer_loses(Sabotage::ChangeLog, Step::Archive);
    }

    #[test]
    fn across_the_snapshot() {
        let database = Arc::new(watched());
        let outcome = places::across_the_snapshot(&database, Sabotage::ChangeLog);
        let Outcome::Done(done) = outcome else { panic!("{outcome:?}") };
        assert!(!lost(&database, done.event).is_empty());
    }

    #[test]
    fn between_the_snapshot_and_the_first_round() {
        every_writer_loses(Sabotage::ChangeLog, Step::CatchUp);
    }

    #[test]
    fn within_a_round() {
        every_writer_loses(Sabotage::ChangeLog, Step::CatchUpLook);
    }

    #[test]
    fn between_the_last_round_and_the_locks() {
        every_writer_loses(Sabotage::ChangeLog, Step::Begin);
    }
}

/// The projects are looked at first and taken out of the log later: what was committed in between is taken unseen.
#[test]
fn the_second_statement() {
    every_writer_loses(Sabotage::SecondLook, Step::CatchUpLook);
}

/// Without the locks somebody writes between the last look and the drop.
mod the_locks {
    use super::*;

    #[test]
    fn behind_the_last_look() {
        every_writer_loses(Sabotage::Lock, Step::Write);
    }

    #[test]
    fn before_the_drop() {
        every_writer_loses(Sabotage::Lock, Step::Drop);
    }
}
