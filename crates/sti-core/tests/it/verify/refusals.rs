//! Databases that cannot be verified: a typed error that names the thing and the next step.

use sti_core::both_backends;
use sti_core::db::Access;
use sti_core::test_support::TestDatabase;
use sti_core::verify::{VerifyError, counts};

use super::rig::{SCHOOL, migrate, open, project, try_verify};

both_backends! {
    a_database_without_our_tables, a_database_without_a_subtype_table, a_database_after_the_drop,
    a_database_with_some_legacy_columns, a_duplicate_key_is_a_pass_that_does_not_add_up,
}

#[track_caller]
fn refused(database: &TestDatabase) -> String {
    try_verify(database, 1).unwrap_err().to_string()
}

fn a_database_without_our_tables(database: &TestDatabase) {
    let expected = "table projects_project does not exist: check the database URL, then run `sti-migrate up`";
    assert_eq!(refused(database), expected);
    assert_eq!(counts(&mut open(database, Access::Read)).unwrap_err().to_string(), expected);
}

fn a_database_without_a_subtype_table(database: &TestDatabase) {
    migrate(database);
    database.execute("DROP TABLE projects_selfstudyproject");
    assert_eq!(
        refused(database),
        "table projects_selfstudyproject does not exist: check the database URL, then run `sti-migrate up`"
    );
}

fn a_database_after_the_drop(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    for column in ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"] {
        database.execute(&format!("ALTER TABLE projects_project DROP COLUMN {column}"));
    }
    let error = try_verify(database, 1).unwrap_err();
    assert!(matches!(error, VerifyError::LegacyColumnsGone));
    assert_eq!(
        error.to_string(),
        "there is nothing to compare with: projects_project has none of its legacy columns (course_name, \
         course_code, teacher_name, goal_description, study_frequency) any more; run `sti-migrate status` to see \
         when they were dropped"
    );
    let counts = counts(&mut open(database, Access::Read)).unwrap();
    assert_eq!(counts.coverage_of_known(false).whole, 1, "counting needs no legacy column");
}

fn a_database_with_some_legacy_columns(database: &TestDatabase) {
    migrate(database);
    database.execute("ALTER TABLE projects_project DROP COLUMN teacher_name");
    assert_eq!(
        refused(database),
        "table projects_project has no column teacher_name: run `sti-migrate status` to see what does not fit"
    );
}

/// A subtype table that lost its primary key, and holds a project twice: the join counts that project twice.
fn a_duplicate_key_is_a_pass_that_does_not_add_up(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    database.execute(
        "DROP TABLE projects_schoolproject; CREATE TABLE projects_schoolproject AS \
         SELECT id AS project_id, course_name, course_code, teacher_name FROM projects_project",
    );
    assert!(try_verify(database, 1).unwrap().is_clean());
    database.execute("INSERT INTO projects_schoolproject SELECT * FROM projects_schoolproject");
    let error = try_verify(database, 1).unwrap_err();
    assert!(
        matches!(error, VerifyError::ShortPass { table: "projects_project", expected: 1, found: 2 }),
        "{error}"
    );
}
