//! The legacy columns vanish under a service that is running.

use diesel::connection::SimpleConnection as _;
use sti_core::db::AnyConnection;
use sti_core::models::Kind;
use sti_core::repository::{ListQuery, RepositoryError, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectRepository, WriteMode, both_backends};

use super::rig::{
    LEGACY, another, begin, commit, details_of, drop_columns, drop_legacy, id, insert, insert_row, migrate,
    new_school, open, publish, record_drop, row, teacher, texts,
};

both_backends! {
    every_call_survives_the_drop,
    every_call_survives_the_drop_inside_a_hosts_transaction,
    what_the_host_did_before_the_call_stays,
    after_the_switch_the_row_is_read_and_written,
    clones_learn_from_each_other,
    some_columns_gone_is_an_error,
    a_drop_that_nobody_recorded_is_an_error,
    another_error_is_given_back,
}

const BOTH: [WriteMode; 2] = [WriteMode::Dual, WriteMode::Subtype];

/// A call whose result, as texts, is the same before and after the drop.
type Call = fn(&ProjectRepository, &mut AnyConnection) -> Result<Vec<String>, RepositoryError>;

const CALLS: [(&str, Call); 6] = [
    ("get", |repository, c| Ok(details_of(&repository.get(c, id(1))?))),
    ("list", |repository, c| {
        let records = repository.list(c, &ListQuery { limit: 1, ..ListQuery::default() })?;
        Ok(records.iter().flat_map(details_of).collect())
    }),
    ("create", |repository, c| Ok(details_of(&repository.create(c, &new_school(9, "a", "b", "c"))?))),
    ("update", |repository, c| Ok(details_of(&repository.update(c, id(1), &publish())?))),
    ("change_type", |repository, c| {
        let back = TypeChange::School(super::rig::school("a", "b", "c").into());
        repository.change_type(c, id(1), &TypeChange::SelfStudy(SelfStudyPatch::default()))?;
        Ok(details_of(&repository.change_type(c, id(1), &back)?))
    }),
    ("delete", |repository, c| repository.delete(c, id(1)).map(|()| texts(&["a", "b", "c"]))),
];

/// A database with one school project whose sides are equal.
fn one_school(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"), Some("b"), Some("c"), None, None]);
    insert_row(database, Kind::School, 1, &["a", "b", "c"]);
}

/// Such a database for each call.
fn fresh(database: &TestDatabase) -> TestDatabase {
    let fresh = another(database);
    one_school(&fresh);
    fresh
}

fn every_call_survives_the_drop(database: &TestDatabase) {
    for mode in BOTH {
        for (name, call) in CALLS {
            let database = &fresh(database);
            let (mut connection, repository) = open(database, mode);
            drop_legacy(database);
            let found = call(&repository, &mut connection);
            assert_eq!(found.unwrap_or_else(|e| panic!("{mode}, {name}: {e:?}")), ["a", "b", "c"]);
            let left = row(database, Kind::School, id(1));
            assert_eq!(left, (name != "delete").then(|| texts(&["a", "b", "c"])), "{mode}, {name}");
        }
    }
}

fn every_call_survives_the_drop_inside_a_hosts_transaction(database: &TestDatabase) {
    for mode in BOTH {
        for (name, call) in CALLS {
            let database = &fresh(database);
            let (mut connection, repository) = open(database, mode);
            begin(&mut connection);
            drop_legacy(database);
            let found = call(&repository, &mut connection);
            assert_eq!(found.unwrap_or_else(|e| panic!("{mode}, {name}: {e:?}")), ["a", "b", "c"]);
            commit(&mut connection).unwrap();
            let left = row(database, Kind::School, id(1));
            assert_eq!(left, (name != "delete").then(|| texts(&["a", "b", "c"])), "{mode}, {name}");
        }
    }
}

/// The savepoint is what keeps the host's own work; on SQLite a host that has written leaves no room for a drop.
fn what_the_host_did_before_the_call_stays(database: &TestDatabase) {
    one_school(database);
    database.execute("CREATE TABLE app_log (line text)");
    database.grant_application(&["app_log"]);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    begin(&mut connection);
    let work = database.either("INSERT INTO app_log VALUES ('before')", "SELECT 1");
    connection.batch_execute(work).unwrap();
    drop_legacy(database);
    assert_eq!(details_of(&repository.get(&mut connection, id(1)).unwrap()), ["a", "b", "c"]);
    connection.batch_execute("INSERT INTO app_log VALUES ('after')").unwrap();
    commit(&mut connection).unwrap();
    assert_eq!(database.count("app_log"), if database.backend_name() == "postgres" { 2 } else { 1 });
}

fn after_the_switch_the_row_is_read_and_written(database: &TestDatabase) {
    one_school(database);
    for (mode, name) in BOTH.into_iter().zip(["first", "second"]) {
        let (mut connection, repository) = open(database, mode);
        if mode == WriteMode::Dual {
            drop_legacy(database);
        }
        repository.update(&mut connection, id(1), &teacher(name)).unwrap();
        assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["a", "b", name])));
        database.execute("UPDATE projects_schoolproject SET course_code = 'by hand'");
        let record = repository.get(&mut connection, id(1)).unwrap();
        assert_eq!(details_of(&record), ["a", "by hand", name]);
        database.execute("UPDATE projects_schoolproject SET course_code = 'b'");
    }
}

/// A clone that did not see the drop itself goes by what another one found: its transaction, begun read-only and in
/// one statement, would otherwise need a second try.
fn clones_learn_from_each_other(database: &TestDatabase) {
    one_school(database);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let clone = repository.clone();
    drop_legacy(database);
    repository.get(&mut connection, id(1)).unwrap();
    // Without sti_drop_event a look at the catalogue fails: the clone does without one.
    database.execute("DROP TABLE sti_legacy_archive; DROP TABLE sti_drop_run; DROP TABLE sti_drop_event");
    let found = std::thread::scope(|scope| {
        let work = || clone.get(&mut super::rig::application(database), id(1));
        scope.spawn(work).join().unwrap()
    });
    assert_eq!(details_of(&found.unwrap()), ["a", "b", "c"]);
}

fn some_columns_gone_is_an_error(database: &TestDatabase) {
    for (name, call) in CALLS {
        let database = &fresh(database);
        let (mut connection, repository) = open(database, WriteMode::Dual);
        record_drop(database);
        drop_columns(database, &LEGACY[..2]);
        begin(&mut connection);
        let error = call(&repository, &mut connection).unwrap_err();
        assert!(matches!(error, RepositoryError::SchemaNotReady { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("course_name, course_code are missing"), "{error}");
        commit(&mut connection).unwrap();
        assert_eq!(database.count("projects_project"), 1);
        assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["a", "b", "c"])));
    }
}

fn a_drop_that_nobody_recorded_is_an_error(database: &TestDatabase) {
    one_school(database);
    let (mut connection, dual) = open(database, WriteMode::Dual);
    let subtype = ProjectRepository::open(&mut connection, WriteMode::Subtype).unwrap();
    drop_columns(database, &LEGACY);
    let errors = [
        dual.get(&mut connection, id(1)).unwrap_err(),
        dual.update(&mut connection, id(1), &teacher("never")).unwrap_err(),
        subtype.update(&mut connection, id(1), &teacher("never")).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, RepositoryError::SchemaNotReady { .. }), "{error:?}");
        assert!(error.to_string().contains("sti_drop_event records no drop"), "{error}");
    }
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["a", "b", "c"])));
}

/// Another column vanished, or anything else: the catalogue, not the text, decides.
fn another_error_is_given_back(database: &TestDatabase) {
    one_school(database);
    database.execute("ALTER TABLE projects_project RENAME COLUMN name TO title");
    for mode in BOTH {
        let (mut connection, repository) = open(database, mode);
        for (name, call) in &CALLS[..3] {
            begin(&mut connection);
            let error = call(&repository, &mut connection).unwrap_err();
            assert!(matches!(error, RepositoryError::Database(_)), "{mode}, {name}: {error:?}");
            assert!(error.to_string().contains("name"), "{error}");
            commit(&mut connection).unwrap();
        }
    }
}
