//! Somebody asks for a stop before the columns are back: then nothing is done.

use diesel::connection::SimpleConnection as _;
use sti_core::both_backends;
use sti_core::contract::restore::{Restoration, RestoreEvent, restore};
use sti_core::test_support::TestDatabase;

use super::rig::{chunks_of, drop_by_hand, leftovers, legacy_digest, restored, try_restore};
use crate::contract::rig::columns_left;
use crate::repository::rig::{insert, migrate, owner};

both_backends! {
    asked_before_it_begins,
    asked_between_two_attempts_at_the_locks,
    asked_where_an_earlier_one_had_begun,
}

fn dropped(database: &TestDatabase) -> String {
    migrate(database);
    insert(database, 1, "other", [Some("a"), None, Some(""), None, None]);
    let before = legacy_digest(database).to_string();
    drop_by_hand(database);
    before
}

#[track_caller]
fn nothing_was_done(database: &TestDatabase, restoration: &Restoration, before: &str) {
    assert_eq!(*restoration, Restoration::NotBegun { event: 1 });
    assert_eq!((columns_left(database), leftovers(database)), (0, 0));
    restored(database);
    assert_eq!(legacy_digest(database).to_string(), before);
}

fn asked_before_it_begins(database: &TestDatabase) {
    let before = dropped(database);
    let options = chunks_of(2);
    options.stop.stop();
    let restoration = try_restore(database, &options).unwrap();
    nothing_was_done(database, &restoration, &before);
}

/// The next attempt would have got them.
fn asked_between_two_attempts_at_the_locks(database: &TestDatabase) {
    let before = dropped(database);
    let mut writer = owner(database);
    let begin =
        database.either("BEGIN; LOCK TABLE projects_project IN ROW EXCLUSIVE MODE", "BEGIN IMMEDIATE");
    writer.batch_execute(begin).unwrap();
    let options = chunks_of(2);
    let mut retried = 0;
    let restoration = restore(&mut || Ok(owner(database)), &options, &mut |event| {
        assert!(matches!(event, RestoreEvent::Retried(_)), "{event:?}");
        retried += 1;
        writer.batch_execute("COMMIT").unwrap();
        options.stop.stop();
    });
    assert_eq!(retried, 1);
    nothing_was_done(database, &restoration.unwrap(), &before);
}

/// The columns are back, and some are filled: that it has not begun would be untrue.
fn asked_where_an_earlier_one_had_begun(database: &TestDatabase) {
    migrate(database);
    for number in 1..=5 {
        insert(database, number, "other", [Some("a"), None, Some(""), None, None]);
    }
    let before = legacy_digest(database).to_string();
    drop_by_hand(database);
    let options = chunks_of(2);
    let stopped = restore(&mut || Ok(owner(database)), &options, &mut |event| {
        if matches!(event, RestoreEvent::ChunkDone { .. }) {
            options.stop.stop();
        }
    });
    assert!(matches!(stopped, Ok(Restoration::Stopped(_))), "{stopped:?}");
    let mut writer = owner(database);
    let begin =
        database.either("BEGIN; LOCK TABLE projects_project IN ROW EXCLUSIVE MODE", "BEGIN IMMEDIATE");
    writer.batch_execute(begin).unwrap();
    let options = chunks_of(2);
    let again = restore(&mut || Ok(owner(database)), &options, &mut |_| options.stop.stop()).unwrap();
    let Restoration::Stopped(resumed) = again else { panic!("{again:?}") };
    assert!(resumed.resumed_after.is_some() && resumed.began.is_none(), "{resumed:?}");
    writer.batch_execute("COMMIT").unwrap();
    restored(database);
    assert_eq!(legacy_digest(database).to_string(), before);
}
