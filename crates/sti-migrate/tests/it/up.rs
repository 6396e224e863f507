//! `sti-migrate up`.

use sti_core::both_backends;
use sti_core::test_support::{Session, TestDatabase};

use crate::rig::{named, on, snapshot, snapshot_formats, sti_migrate, tables};

both_backends! { an_empty_database, what_does_not_fit }
both_backends! { django: the_database_of_django }

fn the_database_of_django(database: &TestDatabase) {
    let before = tables(database);
    snapshot_formats("up_dry_run", database, &["up", "--dry-run"], 0);
    assert_eq!(tables(database), before);
    snapshot("up_adopts", Some(database), &mut on(database, &["up"]), 0);
    let after = tables(database);
    snapshot("up_again", Some(database), &mut on(database, &["up"]), 0);
    assert_eq!(tables(database), after);
}

fn an_empty_database(database: &TestDatabase) {
    snapshot("up_creates", Some(database), &mut on(database, &["up"]), 0);
}

fn what_does_not_fit(database: &TestDatabase) {
    database.execute(
        "CREATE TABLE projects_schoolproject (project_id integer NOT NULL PRIMARY KEY, \
             course_name varchar(255) NOT NULL, course_code varchar(50), teacher_name varchar(255) NOT NULL)",
    );
    let before = tables(database);
    for format in ["text", "json", "markdown"] {
        let name = named(&format!("up_refused_{format}"), database);
        snapshot(&name, Some(database), &mut on(database, &["up", "--format", format]), 1);
    }
    // A dry run says and answers the same.
    let name = named("up_refused_text", database);
    snapshot(&name, Some(database), &mut on(database, &["up", "--dry-run"]), 1);
    assert_eq!(tables(database), before);
}

#[test]
fn roles_that_lack_rights_are_named() {
    let database = TestDatabase::django_postgres();
    database.execute("DROP TABLE projects_schoolproject, projects_selfstudyproject CASCADE");
    database.grant_application(&["projects_project"]);
    snapshot("up_missing_grants", None, &mut on(&database, &["up"]), 0);
    snapshot("up_missing_grants_json", None, &mut on(&database, &["up", "--format", "json"]), 0);
}

/// The locks were not to be had: exit code 3, for the same command may work later.
#[test]
fn a_writer_that_does_not_end() {
    let database = TestDatabase::django_postgres();
    database.execute("DROP TABLE projects_schoolproject, projects_selfstudyproject CASCADE");
    let before = tables(&database);
    let writer = Session::open(&database, "reports");
    writer.run("BEGIN; UPDATE projects_project SET name = name WHERE is_draft");
    snapshot("up_locked", None, &mut on(&database, &["up", "--attempts", "2"]), 3);
    assert_eq!(tables(&database), before);
    writer.run("ROLLBACK");
    assert_eq!(on(&database, &["up"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn a_new_sqlite_file() {
    let database = TestDatabase::sqlite_missing();
    snapshot("up_no_file", Some(&database), &mut on(&database, &["up"]), 2);
    assert!(!database.path().unwrap().exists());
    snapshot("up_create_file", Some(&database), &mut on(&database, &["up", "--create"]), 0);
    assert_eq!(database.value("SELECT count(*) FROM projects_project"), "0");
    // The flag does no harm to a file that is there.
    assert_eq!(on(&database, &["up", "--create"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn no_new_postgresql_database() {
    let url = "postgres://u:s3cret@localhost/ocean";
    snapshot("up_create_postgres", None, &mut sti_migrate(&["up", "--create", "--database-url", url]), 2);
}
