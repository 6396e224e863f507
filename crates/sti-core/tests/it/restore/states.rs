//! What a restore, and its end, say in each state.

use sti_core::both_backends;
use sti_core::contract::restore::{Finish, Restoration, RestoreError, RestoreOptions};
use sti_core::test_support::TestDatabase;

use super::rig::{drop_by_hand, finished, leftovers, legacy_digest, restored, try_restore};
use crate::repository::rig::{LEGACY, add_columns, drop_columns, insert, migrate, record_drop};

both_backends! {
    nothing_was_dropped,
    gone_without_a_record,
    several_open_drops,
    an_archive_that_is_not_whole,
    restored_before,
    a_drop_without_an_archive,
    the_record_of_the_migration_goes,
    not_to_be_finished_before_it_is_restored,
}

fn plant(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "other", [Some("a"), None, Some(""), None, None]);
    insert(database, 2, "other", [None, None, None, Some("b"), None]);
}

fn said(database: &TestDatabase) -> Result<Restoration, RestoreError> {
    try_restore(database, &RestoreOptions::default())
}

fn nothing_was_dropped(database: &TestDatabase) {
    plant(database);
    assert_eq!(said(database).unwrap(), Restoration::NothingDropped);
    assert_eq!(finished(database), Finish::NothingDropped);
    assert_eq!(leftovers(database), 0);
}

fn gone_without_a_record(database: &TestDatabase) {
    plant(database);
    drop_columns(database, &LEGACY);
    let error = said(database).unwrap_err();
    assert!(matches!(error, RestoreError::NoEvent), "{error:?}");
    assert_eq!(leftovers(database), 0);
}

fn several_open_drops(database: &TestDatabase) {
    plant(database);
    record_drop(database);
    drop_by_hand(database);
    let error = said(database).unwrap_err();
    assert!(matches!(error, RestoreError::SeveralOpen(ref events) if *events == [1, 2]), "{error:?}");
    assert!(error.to_string().contains("event 1, event 2"), "{error}");
    assert_eq!(leftovers(database), 0);
}

fn an_archive_that_is_not_whole(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    database.execute("DELETE FROM sti_legacy_archive WHERE goal_description = 'b'");
    assert_eq!(said(database).unwrap(), Restoration::ArchiveIncomplete { event: 1, expected: 2, found: 1 });
    assert_eq!(leftovers(database), 0);
    assert_eq!(database.count("sti_drop_event WHERE restore_began_at IS NULL"), 1);
}

fn restored_before(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    restored(database);
    let Restoration::Already { event, triggers, .. } = said(database).unwrap() else { panic!("again?") };
    assert_eq!((event.id, triggers), (1, true));
    finished(database);
    let Restoration::Already { event, triggers, .. } = said(database).unwrap() else { panic!("again?") };
    assert_eq!((event.id, triggers), (1, false));
}

/// An event that somebody wrote by hand: what the subtype rows say is all there is.
fn a_drop_without_an_archive(database: &TestDatabase) {
    plant(database);
    drop_columns(database, &LEGACY);
    record_drop(database);
    let restored = restored(database);
    assert_eq!((restored.archived, restored.refilled.archived, restored.refilled.changed), (None, 0, 0));
}

fn the_record_of_the_migration_goes(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('00000000000901')");
    restored(database);
    assert_eq!(database.count("__diesel_schema_migrations WHERE version = '00000000000901'"), 0);
    assert_eq!(legacy_digest(database), before);
}

fn not_to_be_finished_before_it_is_restored(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    assert_eq!(finished(database), Finish::NotRestored { event: 1 });
    add_columns(database);
    assert_eq!(finished(database), Finish::NotRestored { event: 1 });
    restored(database);
    assert_eq!(finished(database), Finish::Done { event: 1, attempts: 1 });
}
