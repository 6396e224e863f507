//! Each lock, each second statement and the change log itself taken out: the same write is lost.

use std::sync::Arc;

use sti_core::contract::Outcome;
use sti_core::probe::{Sabotage, Step};

use super::oracle::{lost, watched};
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

/// Without the triggers a write behind the snapshot is never seen: that of a service is not in the archive, that of the
/// legacy columns alone is gone.
#[test]
fn the_change_log() {
    for step in [Step::Archive, Step::CatchUp, Step::CatchUpLook, Step::Begin] {
        for writer in ALL {
            let lost = lost_without(Sabotage::ChangeLog, step, writer);
            assert!(!lost.is_empty(), "{} at {step:?}", writer.name);
        }
    }
}

/// The projects are looked at first and taken out of the log later: what was committed in between is taken unseen.
#[test]
fn the_second_statement() {
    for writer in ALL {
        let lost = lost_without(Sabotage::SecondLook, Step::CatchUpLook, writer);
        assert!(!lost.is_empty(), "{}", writer.name);
    }
}

/// Without the locks somebody writes between the last look and the drop.
#[test]
fn the_locks() {
    for step in [Step::Write, Step::Drop] {
        for writer in ALL {
            let lost = lost_without(Sabotage::Lock, step, writer);
            assert!(!lost.is_empty(), "{} at {step:?}", writer.name);
        }
    }
}
