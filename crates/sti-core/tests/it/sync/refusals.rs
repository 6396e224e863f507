//! Where the triggers must not come, and where they cannot.

use sti_core::contract::restore::Attempts;
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::sync::{Blocker, Install, SyncError, install, remove, status};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{problems, try_install};
use crate::contract::rig::{dropped, options, ready};
use crate::repository::rig::{LEGACY, application, migrate, owner};
use crate::restore::rig::{finished, restored};

/// What stands in the way; nothing was made.
#[track_caller]
fn refused(database: &TestDatabase) -> Vec<Blocker> {
    let Install::Refused(blockers) = try_install(database).unwrap() else { panic!("not refused") };
    assert_eq!(problems(database), None);
    blockers
}

#[test]
fn without_the_tables_and_migrations() {
    let database = TestDatabase::postgres();
    assert_eq!(refused(&database), [Blocker::NoTable]);
    let django = TestDatabase::django_postgres();
    let blockers = refused(&django);
    assert!(blockers.contains(&Blocker::Pending("00000000000101_sti_projects".to_owned())), "{blockers:?}");
}

#[test]
fn where_a_part_does_not_fit() {
    let database = TestDatabase::postgres();
    migrate(&database);
    database.execute("ALTER TABLE projects_schoolproject ALTER COLUMN course_code DROP NOT NULL");
    let blockers = refused(&database);
    assert!(matches!(blockers.as_slice(), [Blocker::Misfit(_)]), "{blockers:?}");
    assert_eq!(blockers[0].fix(), ["sti-migrate status"]);
}

#[test]
fn after_a_drop_and_until_it_is_taken_back_and_finished() {
    let database = TestDatabase::postgres();
    ready(&database);
    let event = dropped(&database, &options()).event;
    assert_eq!(refused(&database), [Blocker::Dropped]);
    restored(&database);
    assert_eq!(refused(&database), [Blocker::Restoring(event)]);
    finished(&database);
    super::rig::installed(&database);
}

/// Nothing is made out of two moments: columns of before a drop, and its event, would look like a restore that has to be
/// ended, and ending that takes the drop back.
#[test]
fn a_drop_in_the_middle_of_the_first_look() {
    let database = TestDatabase::postgres();
    migrate(&database);
    let other = Session::open(&database, "other");
    other.run("BEGIN; LOCK TABLE sti_drop_event IN ACCESS EXCLUSIVE MODE");
    let install = std::thread::scope(|scope| {
        let late = scope.spawn(|| try_install(&database));
        wait_until_it_waits(&database, "owner");
        let columns = LEGACY.map(|column| format!("ALTER TABLE projects_project DROP COLUMN {column}; "));
        let event =
            "INSERT INTO sti_drop_event (dropped_at, tool_version, archived) VALUES (now(), 'other', 0)";
        other.run(&format!("{} {event}; COMMIT", columns.concat()));
        late.join().unwrap()
    });
    let Install::Refused(blockers) = install.unwrap() else { panic!("not refused") };
    assert_eq!(blockers, [Blocker::Dropped]);
}

#[test]
fn beside_triggers_of_a_restore_that_nobody_has_on_record() {
    let database = TestDatabase::postgres();
    ready(&database);
    dropped(&database, &options());
    restored(&database);
    database.execute("DELETE FROM sti_legacy_archive; DELETE FROM sti_drop_run; DELETE FROM sti_drop_event");
    assert_eq!(refused(&database), [Blocker::RestoreTriggers]);
}

#[test]
fn for_a_role_that_owns_nothing() {
    let database = super::rig::ours();
    let error = remove(&mut || Ok(application(&database)), Attempts::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, SyncError::Obstacles(_)), "{error}");
    super::rig::removed(&database);
    let error = install(&mut || Ok(application(&database)), Attempts::default(), &mut |_| {}).unwrap_err();
    let SyncError::Obstacles(obstacles) = error else { panic!("{error}") };
    let said: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
    for table in ["projects_project", "projects_schoolproject", "projects_selfstudyproject"] {
        assert!(said.iter().any(|line| line.contains(&format!("does not own {table}"))), "{said:?}");
    }
    // Who only looks may look.
    assert_eq!(problems(&database), None);
    status(&mut application(&database)).unwrap();
}

#[test]
fn on_sqlite() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let errors = [
        status(&mut connect(&url, Access::Read, "test").unwrap()).unwrap_err(),
        install(&mut || Ok(owner(&database)), Attempts::default(), &mut |_| {}).unwrap_err(),
        remove(&mut || Ok(owner(&database)), Attempts::default(), &mut |_| {}).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, SyncError::PostgresOnly), "{error}");
    }
}
