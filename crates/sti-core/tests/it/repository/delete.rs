//! Deleting projects.

use sti_core::models::Kind;
use sti_core::repository::{Referrer, RepositoryError};
use sti_core::test_support::TestDatabase;
use sti_core::{WriteMode, both_backends};

use super::rig::{MODES, add_pointers, drop_legacy, id, insert, insert_row, migrate, open, start};

both_backends! {
    rows_of_both_kinds_go_in_every_mode,
    after_the_drop,
    before_up_there_is_only_the_parent,
    legacy_mode_sees_tables_that_were_made_meanwhile,
    its_own_pointers_do_not_hold_it,
    another_projects_pointer_is_refused,
    another_table_is_a_typed_error,
    a_foreign_key_that_does_not_wait_for_commit,
    a_project_that_is_not_there,
}

/// How many rows the three tables have.
fn rows(database: &TestDatabase) -> [i64; 3] {
    ["projects_project", "projects_schoolproject", "projects_selfstudyproject"]
        .map(|table| database.count(table))
}

/// A project with rows of both kinds.
fn insert_both(database: &TestDatabase, number: u32) {
    insert(database, number, "school", [Some("a"); 5]);
    insert_row(database, Kind::School, number, &["a", "a", "a"]);
    insert_row(database, Kind::SelfStudy, number, &["a", "a"]);
}

fn rows_of_both_kinds_go_in_every_mode(database: &TestDatabase) {
    migrate(database);
    for number in 0..4 {
        insert_both(database, number);
    }
    for (number, mode) in (1..).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        repository.delete(&mut connection, id(number)).unwrap();
        let left = 4 - i64::from(number);
        assert_eq!(rows(database), [left; 3], "{mode}");
    }
}

fn after_the_drop(database: &TestDatabase) {
    migrate(database);
    insert_both(database, 1);
    insert_both(database, 2);
    drop_legacy(database);
    for (number, mode) in [(1, WriteMode::Dual), (2, WriteMode::Subtype)] {
        let (mut connection, repository) = open(database, mode);
        repository.delete(&mut connection, id(number)).unwrap();
    }
    assert_eq!(rows(database), [0; 3]);
}

fn before_up_there_is_only_the_parent(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    for kind in Kind::ALL {
        database.execute(&format!("DROP TABLE {}", kind.table()));
    }
    let (mut connection, repository) = open(database, WriteMode::Legacy);
    repository.delete(&mut connection, id(1)).unwrap();
    assert_eq!(database.count("projects_project"), 0);
}

/// A service that began in legacy mode before `up` goes on while another one fills the new tables.
fn legacy_mode_sees_tables_that_were_made_meanwhile(database: &TestDatabase) {
    migrate(database);
    database.execute("ALTER TABLE projects_schoolproject RENAME TO later");
    let (mut connection, repository) = open(database, WriteMode::Legacy);
    database.execute("ALTER TABLE later RENAME TO projects_schoolproject");
    insert_both(database, 1);
    repository.delete(&mut connection, id(1)).unwrap();
    assert_eq!(rows(database), [0; 3]);
}

fn its_own_pointers_do_not_hold_it(database: &TestDatabase) {
    migrate(database);
    add_pointers(database);
    for (number, mode) in (1..).zip(MODES) {
        insert_both(database, number);
        let own = id(number).hex();
        database.execute(&format!(
            "UPDATE projects_project SET school_project_id = '{own}', self_study_project_id = '{own}' \
             WHERE id = '{own}'"
        ));
        let (mut connection, repository) = open(database, mode);
        repository.delete(&mut connection, id(number)).unwrap();
        assert_eq!(rows(database), [0; 3]);
    }
}

fn another_projects_pointer_is_refused(database: &TestDatabase) {
    migrate(database);
    add_pointers(database);
    insert_both(database, 1);
    for number in 2..14 {
        insert(database, number, "self_study", [None; 5]);
    }
    database.execute(&format!(
        "UPDATE projects_project SET self_study_project_id = '{0}' WHERE id <> '{0}'",
        id(1).hex()
    ));
    let before = rows(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let error = repository.delete(&mut connection, id(1)).unwrap_err();
        let RepositoryError::Referenced { id: of, referrer } = error else { panic!("{error:?}") };
        assert_eq!(of, Some(id(1)));
        let ids = (2..12).map(id).collect();
        assert_eq!(referrer, Referrer::Projects { column: "self_study_project_id", ids }, "the first ten");
        assert_eq!(rows(database), before);
    }
}

fn refer_to_the_first(database: &TestDatabase, when: &str) {
    database.execute(&format!(
        "CREATE TABLE app_date (project_id {} CONSTRAINT app_date_fk REFERENCES projects_project (id) {when}); \
         INSERT INTO app_date VALUES ('{}')",
        database.either("uuid", "char(32)"),
        id(1).hex()
    ));
}

#[track_caller]
fn refused_by_the_foreign_key(database: &TestDatabase) {
    let before = rows(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let error = repository.delete(&mut connection, id(1)).unwrap_err();
        let RepositoryError::Referenced { id: of, referrer } = error else { panic!("{error:?}") };
        assert_eq!(of, Some(id(1)));
        let told = |text: &str| (database.backend_name() == "postgres").then(|| text.to_owned());
        assert_eq!(
            referrer,
            Referrer::ForeignKey { constraint: told("app_date_fk"), table: told("app_date") }
        );
        assert_eq!(rows(database), before);
        assert_eq!(
            repository.get(&mut connection, id(1)).unwrap().project.id,
            id(1),
            "the connection is usable"
        );
    }
}

fn another_table_is_a_typed_error(database: &TestDatabase) {
    migrate(database);
    insert_both(database, 1);
    refer_to_the_first(database, "DEFERRABLE INITIALLY DEFERRED");
    refused_by_the_foreign_key(database);
}

fn a_foreign_key_that_does_not_wait_for_commit(database: &TestDatabase) {
    migrate(database);
    insert_both(database, 1);
    refer_to_the_first(database, "");
    refused_by_the_foreign_key(database);
}

fn a_project_that_is_not_there(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    let error = repository.delete(&mut connection, id(9)).unwrap_err();
    assert!(matches!(error, RepositoryError::NotFound { id: missing } if missing == id(9)), "{error:?}");
}
