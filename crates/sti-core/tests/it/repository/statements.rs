//! Which statements a call sends, and in which order.

use std::sync::{Arc, Mutex};

use diesel::Connection as _;
use diesel::connection::InstrumentationEvent;
use sti_core::db::AnyConnection;
use sti_core::models::Kind;
use sti_core::repository::{ListQuery, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{WriteMode, both_backends};

use super::rig::{MODES, add_pointers, drop_legacy, id, insert, insert_row, migrate, open, teacher};

both_backends! { a_read_is_one_query, a_write_locks_the_parent_first, a_delete_takes_the_strongest_lock }

/// What `call` sends, each statement up to the first word that differs from call to call.
fn sent<T>(connection: &mut AnyConnection, call: impl FnOnce(&mut AnyConnection) -> T) -> Vec<String> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            writer.lock().unwrap().push(query.to_string());
        }
    });
    call(connection);
    connection.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let log = log.lock().unwrap();
    log.iter().map(|sql| sql.split(" -- binds").next().unwrap().trim().to_owned()).collect()
}

fn one_school(database: &TestDatabase) {
    migrate(database);
    add_pointers(database);
    insert(database, 1, "school", [Some("a"); 5]);
    insert_row(database, Kind::School, 1, &["a", "a", "a"]);
}

/// The order of `statements`, each by the beginning that it must have.
#[track_caller]
fn in_order(statements: &[String], expected: &[&str]) {
    let fits = statements.len() == expected.len()
        && statements.iter().zip(expected).all(|(statement, start)| statement.starts_with(start));
    assert!(fits, "expected {expected:#?}, found {statements:#?}");
}

fn a_read_is_one_query(database: &TestDatabase) {
    one_school(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        in_order(&sent(&mut connection, |c| repository.get(c, id(1)).unwrap()), &["SELECT p.id"]);
        let page = ListQuery { limit: 5, ..ListQuery::default() };
        in_order(&sent(&mut connection, |c| repository.list(c, &page).unwrap()), &["SELECT p.id"]);
    }
}

/// On PostgreSQL one statement writes both sides; nothing is between the lock and it.
fn a_write_locks_the_parent_first(database: &TestDatabase) {
    one_school(database);
    let postgres = database.backend_name() == "postgres";
    let begin = database.either("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", "BEGIN IMMEDIATE");
    let both = if postgres {
        vec!["WITH p AS (UPDATE projects_project SET"]
    } else {
        vec!["UPDATE projects_project SET", "INSERT INTO projects_s"]
    };
    let around = |middle: &[&'static str], end: &[&'static str]| -> Vec<&'static str> {
        [&["SELECT p.project_type"], middle, &both, end, &["SELECT p.id", "COMMIT"]].concat()
    };
    let check = |mode| {
        let (mut connection, repository) = open(database, mode);
        let update = sent(&mut connection, |c| repository.update(c, id(1), &teacher("new")).unwrap());
        assert_eq!(update[0], begin);
        in_order(&update[1..], &around(&[], &[]));
        assert_eq!(update[1].ends_with("FOR NO KEY UPDATE"), postgres, "{}", update[1]);
        let change = TypeChange::SelfStudy(SelfStudyPatch::default());
        let change = sent(&mut connection, |c| repository.change_type(c, id(1), &change).unwrap());
        let looked = "SELECT id FROM projects_project WHERE school_project_id";
        in_order(&change[1..], &around(&[looked], &["DELETE FROM projects_schoolproject"]));
        let back = TypeChange::School(Default::default());
        repository.change_type(&mut connection, id(1), &back).unwrap();
    };
    check(WriteMode::Dual);
    check(WriteMode::Subtype);
    drop_legacy(database);
    check(WriteMode::Subtype);
}

fn a_delete_takes_the_strongest_lock(database: &TestDatabase) {
    one_school(database);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let delete = sent(&mut connection, |c| repository.delete(c, id(1)).unwrap());
    let looks = ["school_project_id", "self_study_project_id"];
    let [school, self_study] = looks.map(|column| format!("SELECT id FROM projects_project WHERE {column}"));
    let expected = [
        "SELECT p.project_type",
        &school,
        &self_study,
        "UPDATE projects_project SET school_project_id = NULL, self_study_project_id = NULL",
        "DELETE FROM projects_schoolproject",
        "DELETE FROM projects_selfstudyproject",
        "DELETE FROM projects_project",
        "COMMIT",
    ];
    in_order(&delete[1..], &expected);
    assert_eq!(delete[1].ends_with("FOR UPDATE"), database.backend_name() == "postgres", "{}", delete[1]);
}
