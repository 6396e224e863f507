//! Two sessions at one project, on PostgreSQL with real locks: one waits for the other, and goes on from what it
//! left behind. On SQLite one writer has the whole database.

use std::thread;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Integer;
use sti_core::db::AnyConnection;
use sti_core::models::Kind;
use sti_core::repository::{RepositoryError, SchoolPatch, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectRepository, WriteMode};

use super::rig::{
    LEGACY, begin, commit, goal, id, insert, insert_row, legacy, migrate, open, owner, publish, row, teacher,
    texts, values,
};

const BOTH: [WriteMode; 2] = [WriteMode::Dual, WriteMode::Subtype];

type Call = fn(&ProjectRepository, &mut AnyConnection) -> Result<(), RepositoryError>;

fn update_teacher(repository: &ProjectRepository, c: &mut AnyConnection) -> Result<(), RepositoryError> {
    repository.update(c, id(1), &teacher("new")).map(drop)
}

fn update_course(repository: &ProjectRepository, c: &mut AnyConnection) -> Result<(), RepositoryError> {
    let patch = SchoolPatch { course_name: Some("new".into()), ..SchoolPatch::default() };
    repository.change_type(c, id(1), &TypeChange::School(patch)).map(drop)
}

fn to_self_study(repository: &ProjectRepository, c: &mut AnyConnection) -> Result<(), RepositoryError> {
    let patch = SelfStudyPatch { goal_description: Some("goal".into()), ..SelfStudyPatch::default() };
    repository.change_type(c, id(1), &TypeChange::SelfStudy(patch)).map(drop)
}

fn to_publish(repository: &ProjectRepository, c: &mut AnyConnection) -> Result<(), RepositoryError> {
    repository.update(c, id(1), &publish()).map(drop)
}

fn delete(repository: &ProjectRepository, c: &mut AnyConnection) -> Result<(), RepositoryError> {
    repository.delete(c, id(1))
}

/// A database with one school project whose sides are equal.
fn one_school() -> TestDatabase {
    let database = TestDatabase::postgres();
    migrate(&database);
    insert(&database, 1, "school", [Some("a"), Some("b"), Some("c"), None, None]);
    insert_row(&database, Kind::School, 1, &["a", "b", "c"]);
    database
}

fn backend_pid(connection: &mut AnyConnection) -> i32 {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        pid: i32,
    }
    let row: Row = diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(connection).unwrap();
    row.pid
}

/// Waits until session `pid` waits for a lock.
#[track_caller]
fn until_blocked(database: &TestDatabase, pid: i32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while database.count(&format!("pg_locks WHERE pid = {pid} AND NOT granted")) == 0 {
        assert!(Instant::now() < deadline, "session {pid} never waited for a lock");
        thread::yield_now();
    }
}

/// `holder` has work done that is not yet committed; a second session runs `call` and is seen to wait; `release`
/// ends the first one's transaction. What the second one's call says.
fn while_waiting<T: Send>(
    database: &TestDatabase,
    mode: WriteMode,
    call: impl FnOnce(&ProjectRepository, &mut AnyConnection) -> T + Send,
    release: impl FnOnce(),
) -> T {
    let (mut connection, repository) = open(database, mode);
    let pid = backend_pid(&mut connection);
    // So that a test that fails ends: the holder lets go only after this session.
    connection.batch_execute("SET lock_timeout = '20s'").unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(move || call(&repository, &mut connection));
        until_blocked(database, pid);
        release();
        second.join().unwrap()
    })
}

/// `first` in a transaction that stays open, `second` waiting for it, then the first one's COMMIT.
#[track_caller]
fn interleave(
    database: &TestDatabase,
    mode: WriteMode,
    first: Call,
    second: Call,
) -> Result<(), RepositoryError> {
    let (mut connection, repository) = open(database, mode);
    begin(&mut connection);
    first(&repository, &mut connection).unwrap();
    while_waiting(database, mode, second, || commit(&mut connection).unwrap())
}

#[test]
fn two_updates_of_different_fields_both_survive() {
    for mode in BOTH {
        for (first, second) in
            [(update_teacher as Call, update_course as Call), (update_course, update_teacher)]
        {
            let database = &one_school();
            interleave(database, mode, first, second).unwrap();
            assert_eq!(legacy(database, id(1)), values(&[Some("new"), Some("b"), Some("new"), None, None]));
            assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["new", "b", "new"])), "{mode}");
        }
    }
}

#[test]
fn an_update_that_waited_for_a_change_of_type_writes_no_row_of_the_old_kind() {
    for mode in BOTH {
        let database = &one_school();
        let error = interleave(database, mode, to_self_study, update_teacher).unwrap_err();
        assert!(matches!(error, RepositoryError::TypeMismatch { .. }), "{error:?}");
        let left = || (row(database, Kind::School, id(1)), row(database, Kind::SelfStudy, id(1)));
        assert_eq!(left(), (None, Some(texts(&["goal", ""]))));

        let database = &one_school();
        interleave(database, mode, to_self_study, to_publish).unwrap();
        let left = (row(database, Kind::School, id(1)), row(database, Kind::SelfStudy, id(1)));
        assert_eq!(left, (None, Some(texts(&["goal", ""]))), "{mode}");
    }
}

#[test]
fn a_change_of_type_that_waited_for_an_update_leaves_no_row_of_the_old_kind() {
    for mode in BOTH {
        let database = &one_school();
        interleave(database, mode, update_teacher, to_self_study).unwrap();
        assert_eq!(legacy(database, id(1)), values(&[None, None, None, Some("goal"), None]));
        let left = (row(database, Kind::School, id(1)), row(database, Kind::SelfStudy, id(1)));
        assert_eq!(left, (None, Some(texts(&["goal", ""]))), "{mode}");
    }
}

/// The update makes the row that was missing; the change of type, which looked before it was there, must see it go.
#[test]
fn a_change_of_type_sees_the_row_that_the_other_session_made() {
    for mode in BOTH {
        let database = &one_school();
        database.execute("DELETE FROM projects_schoolproject");
        interleave(database, mode, to_publish, to_self_study).unwrap();
        assert_eq!(database.count("projects_schoolproject"), 0, "{mode}");
        assert_eq!(row(database, Kind::SelfStudy, id(1)), Some(texts(&["goal", ""])));
    }
}

#[test]
fn an_update_that_waited_for_a_delete_finds_nothing() {
    for mode in BOTH {
        for second in [update_teacher as Call, to_self_study, delete] {
            let database = &one_school();
            let error = interleave(database, mode, delete, second).unwrap_err();
            assert!(matches!(error, RepositoryError::NotFound { .. }), "{error:?}");
            for table in ["projects_project", "projects_schoolproject", "projects_selfstudyproject"] {
                assert_eq!(database.count(table), 0, "{mode}, {table}");
            }
        }
    }
}

#[test]
fn a_delete_takes_the_row_that_the_other_session_made() {
    for mode in [WriteMode::Legacy, WriteMode::Dual, WriteMode::Subtype] {
        let database = &one_school();
        database.execute("DELETE FROM projects_schoolproject");
        let (mut connection, repository) = open(database, WriteMode::Dual);
        begin(&mut connection);
        update_teacher(&repository, &mut connection).unwrap();
        while_waiting(database, mode, delete, || commit(&mut connection).unwrap()).unwrap();
        for table in ["projects_project", "projects_schoolproject"] {
            assert_eq!(database.count(table), 0, "{mode}, {table}");
        }
    }
}

/// Every write waits for the subtype row while it holds the parent, never the other way round.
#[test]
fn the_parent_is_locked_before_the_subtype_row() {
    for mode in BOTH {
        for call in [update_teacher as Call, to_self_study, delete] {
            let database = &one_school();
            let mut holder = owner(database);
            begin(&mut holder);
            holder.batch_execute("SELECT 1 FROM projects_schoolproject FOR UPDATE").unwrap();
            while_waiting(database, mode, call, || {
                let mut third = owner(database);
                let error = third
                    .batch_execute("SELECT 1 FROM projects_project FOR NO KEY UPDATE NOWAIT")
                    .unwrap_err();
                assert!(error.to_string().contains("could not obtain lock"), "{error}");
                commit(&mut holder).unwrap();
            })
            .unwrap();
        }
    }
}

/// While an update holds the parent, a table that refers to it can still be written.
#[test]
fn an_update_does_not_block_foreign_keys() {
    let database = &one_school();
    database.execute("CREATE TABLE app_date (project_id uuid REFERENCES projects_project (id))");
    let (mut connection, repository) = open(database, WriteMode::Dual);
    begin(&mut connection);
    update_teacher(&repository, &mut connection).unwrap();
    database.execute(&format!("SET lock_timeout = '5s'; INSERT INTO app_date VALUES ('{}')", id(1).hex()));
    commit(&mut connection).unwrap();
}

/// The drop has its lock, a call waits for it, and then the columns are gone.
#[test]
fn a_call_that_waits_for_the_drop_goes_on_without_the_columns() {
    let read: Call = |repository, c| {
        let record = repository.get(c, id(1))?;
        assert_eq!(super::rig::details_of(&record), ["a", "b", "c"]);
        Ok(())
    };
    for mode in BOTH {
        for call in [update_teacher as Call, to_self_study, delete, read] {
            let database = &one_school();
            let mut dropper = owner(database);
            begin(&mut dropper);
            let drops = LEGACY.map(|column| format!("DROP COLUMN {column}")).join(", ");
            dropper
                .batch_execute(&format!(
                    "LOCK TABLE projects_project, projects_schoolproject, projects_selfstudyproject \
                     IN ACCESS EXCLUSIVE MODE; ALTER TABLE projects_project {drops}; \
                     INSERT INTO sti_drop_event (dropped_at, tool_version) VALUES (now(), 'test')"
                ))
                .unwrap();
            while_waiting(database, mode, call, || commit(&mut dropper).unwrap()).unwrap();
        }
    }
}

/// A self-study patch that waited while the project became one.
#[test]
fn a_patch_for_the_new_kind_fits_after_the_wait() {
    let database = &one_school();
    let second: Call = |repository, c| repository.update(c, id(1), &goal("newer")).map(drop);
    interleave(database, WriteMode::Dual, to_self_study, second).unwrap();
    assert_eq!(row(database, Kind::SelfStudy, id(1)), Some(texts(&["newer", ""])));
}
