//! Calls inside a transaction that the host began.

use diesel::connection::SimpleConnection as _;
use sti_core::db::sql_types::Integer;
use sti_core::db::{AnyConnection, DbError, write_transaction};
use sti_core::models::Kind;
use sti_core::repository::{ListQuery, NewProject, Referrer, RepositoryError, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectRepository, WriteMode, both_backends};

use super::rig::{
    MODES, begin, commit, id, insert, insert_row, legacy, migrate, new_school, open, publish, roll_back, row,
    teacher, texts, values,
};

both_backends! {
    the_hosts_commit_makes_it_last,
    the_hosts_rollback_takes_it_back,
    a_failed_call_leaves_the_transaction_usable,
    a_foreign_key_at_the_hosts_commit_can_be_translated,
    a_hosts_write_transaction_translates_by_itself,
}

fn to_self_study() -> TypeChange {
    TypeChange::SelfStudy(SelfStudyPatch::default())
}

fn the_hosts_commit_makes_it_last(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in (1..).step_by(10).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [Some("a"), None, None, None, None]);
        let before = database.count("projects_project");
        begin(&mut connection);
        repository.create(&mut connection, &new_school(number + 1, "b", "", "")).unwrap();
        repository.update(&mut connection, id(number), &teacher("new")).unwrap();
        repository.change_type(&mut connection, id(number + 1), &to_self_study()).unwrap();
        repository.delete(&mut connection, id(number + 1)).unwrap();
        repository.create(&mut connection, &new_school(number + 2, "c", "", "")).unwrap();
        assert_eq!(repository.get(&mut connection, id(number + 2)).unwrap().project.id, id(number + 2));
        assert_eq!(database.count("projects_project"), before, "nobody sees it before the host commits");
        commit(&mut connection).unwrap();
        assert_eq!(database.count("projects_project"), before + 1);
        assert_eq!(legacy(database, id(number)), values(&[Some("a"), None, Some("new"), None, None]));
        let expected = (mode != WriteMode::Legacy).then(|| texts(&["a", "", "new"]));
        assert_eq!(row(database, Kind::School, id(number)), expected);
    }
}

fn the_hosts_rollback_takes_it_back(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        begin(&mut connection);
        repository.update(&mut connection, id(1), &teacher("never")).unwrap();
        repository.create(&mut connection, &new_school(2, "never", "", "")).unwrap();
        roll_back(&mut connection);
        assert_eq!(legacy(database, id(1)), values(&[Some("a"); 5]));
        assert_eq!(row(database, Kind::School, id(1)), None);
        assert_eq!(database.count("projects_project"), 1);
    }
}

fn a_failed_call_leaves_the_transaction_usable(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in (1..).step_by(10).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        begin(&mut connection);
        repository.create(&mut connection, &new_school(number, "a", "b", "c")).unwrap();
        let taken = repository.create(&mut connection, &new_school(number, "never", "", "")).unwrap_err();
        assert!(matches!(taken, RepositoryError::Database(_)), "{taken:?}");
        let missing = repository.delete(&mut connection, id(number + 1)).unwrap_err();
        assert!(matches!(missing, RepositoryError::NotFound { .. }), "{missing:?}");
        let missing = repository.get(&mut connection, id(number + 1)).unwrap_err();
        assert!(matches!(missing, RepositoryError::NotFound { .. }), "{missing:?}");
        repository.update(&mut connection, id(number), &teacher("new")).unwrap();
        commit(&mut connection).unwrap();
        assert_eq!(legacy(database, id(number)), values(&[Some("a"), Some("b"), Some("new"), None, None]));
    }
}

/// A table of the application that refers to project 1, checked at COMMIT.
fn refer_to_the_first(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    insert_row(database, Kind::School, 1, &["a", "a", "a"]);
    database.execute(&format!(
        "CREATE TABLE app_date (project_id {} REFERENCES projects_project (id) DEFERRABLE INITIALLY DEFERRED); \
         INSERT INTO app_date VALUES ('{}')",
        database.either("uuid", "char(32)"),
        id(1).hex()
    ));
}

fn a_foreign_key_at_the_hosts_commit_can_be_translated(database: &TestDatabase) {
    refer_to_the_first(database);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    begin(&mut connection);
    repository.delete(&mut connection, id(1)).unwrap();
    let error = RepositoryError::at_commit(commit(&mut connection).unwrap_err());
    let RepositoryError::Referenced { id: None, referrer: Referrer::ForeignKey { table, .. } } = error else {
        panic!("{error:?}")
    };
    assert_eq!(table.as_deref(), (database.backend_name() == "postgres").then_some("app_date"));
    assert_eq!(database.count("projects_schoolproject"), 1);
}

fn a_hosts_write_transaction_translates_by_itself(database: &TestDatabase) {
    refer_to_the_first(database);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let error = write_transaction(&mut connection, |connection| repository.delete(connection, id(1)));
    assert!(matches!(error, Err(RepositoryError::Referenced { id: None, .. })), "{error:?}");
}

/// PostgreSQL tells a row that is still referred to from one that refers to nothing.
#[test]
fn an_owner_who_does_not_exist_is_no_reference() {
    let database = &TestDatabase::postgres();
    migrate(database);
    database.execute(
        "CREATE TABLE auth_user (id bigint PRIMARY KEY); INSERT INTO auth_user VALUES (1); \
         ALTER TABLE projects_project ADD FOREIGN KEY (owner_id) REFERENCES auth_user DEFERRABLE INITIALLY DEFERRED",
    );
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let nobody = NewProject { owner_id: Integer(2), ..new_school(1, "", "", "") };
    let error = repository.create(&mut connection, &nobody).unwrap_err();
    assert!(matches!(error, RepositoryError::Database(_)), "{error:?}");
    begin(&mut connection);
    repository.create(&mut connection, &nobody).unwrap();
    let error = RepositoryError::at_commit(commit(&mut connection).unwrap_err());
    assert!(matches!(error, RepositoryError::Database(_)), "{error:?}");
    assert_eq!(database.count("projects_project"), 0);
}

type Call = fn(&ProjectRepository, &mut AnyConnection) -> Result<(), RepositoryError>;

const WRITES: [(&str, Call); 4] = [
    ("create", |repository, c| repository.create(c, &new_school(9, "x", "", "")).map(drop)),
    ("update", |repository, c| repository.update(c, id(1), &publish()).map(drop)),
    ("change_type", |repository, c| repository.change_type(c, id(1), &to_self_study()).map(drop)),
    ("delete", |repository, c| repository.delete(c, id(1))),
];

fn begin_frozen(connection: &mut AnyConnection, level: &str) {
    begin(connection);
    connection.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}")).unwrap();
}

#[test]
fn at_repeatable_read_a_write_to_both_sides_is_refused_before_anything_is_written() {
    let database = &TestDatabase::postgres();
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    insert_row(database, Kind::School, 1, &["a", "a", "a"]);
    let state = || {
        let parents = database.select(&["id", "project_type", "updated_at"], "FROM projects_project");
        (parents, row(database, Kind::School, id(1)), row(database, Kind::SelfStudy, id(1)))
    };
    let before = state();
    for mode in [WriteMode::Dual, WriteMode::Subtype] {
        let (mut connection, repository) = open(database, mode);
        for level in ["repeatable read", "serializable"] {
            for (name, call) in WRITES {
                begin_frozen(&mut connection, level);
                let error = call(&repository, &mut connection).unwrap_err();
                let RepositoryError::UnsupportedIsolation { level: found } = error else {
                    panic!("{name}: {error:?}")
                };
                assert_eq!(found, level);
                // Reads see one snapshot there, and the transaction goes on.
                repository.get(&mut connection, id(1)).unwrap();
                commit(&mut connection).unwrap();
                assert_eq!(state(), before, "{mode}, {name}");
            }
        }
    }
}

#[test]
fn at_repeatable_read_legacy_mode_writes_its_one_side() {
    let database = &TestDatabase::postgres();
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    let (mut connection, repository) = open(database, WriteMode::Legacy);
    begin_frozen(&mut connection, "repeatable read");
    for (name, call) in &WRITES[..3] {
        call(&repository, &mut connection).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    let error = repository.delete(&mut connection, id(1)).unwrap_err();
    assert!(
        matches!(error, RepositoryError::UnsupportedIsolation { .. }),
        "it deletes subtype rows: {error:?}"
    );
    commit(&mut connection).unwrap();
    for kind in Kind::ALL {
        database.execute(&format!("DROP TABLE {}", kind.table()));
    }
    begin_frozen(&mut connection, "repeatable read");
    repository.delete(&mut connection, id(1)).unwrap_err();
    commit(&mut connection).unwrap();
    let (mut connection, repository) = open(database, WriteMode::Legacy);
    begin_frozen(&mut connection, "repeatable read");
    repository.delete(&mut connection, id(1)).unwrap();
    commit(&mut connection).unwrap();
}

#[test]
fn a_transaction_of_its_own_is_read_committed_and_read_write_whatever_the_session_says() {
    let database = &TestDatabase::postgres();
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    connection
        .batch_execute(
            "SET default_transaction_isolation = 'serializable'; SET default_transaction_read_only = on",
        )
        .unwrap();
    for (name, call) in WRITES {
        call(&repository, &mut connection).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    let listed = repository.list(&mut connection, &ListQuery { limit: 9, ..ListQuery::default() }).unwrap();
    assert_eq!(listed.len(), 1);
}

#[test]
fn a_database_error_keeps_its_source() {
    let database = &TestDatabase::postgres();
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let error = repository.update(&mut connection, id(1), &teacher(&"x".repeat(256))).unwrap_err();
    let RepositoryError::Database(DbError { doing, source }) = error else { panic!("{error:?}") };
    assert!(doing.contains(&id(1).to_string()), "{doing}");
    assert!(source.to_string().contains("value too long"), "{source}");
}
