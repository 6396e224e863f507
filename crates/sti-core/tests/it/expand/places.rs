//! Relations of the right name that are no ordinary table, or not where tables are made; and rights that lack.

use sti_core::expand::UpError;
use sti_core::test_support::TestDatabase;

use super::rig::{create_tables, definitions, open_as, plan, up};

fn refused(database: &TestDatabase) -> String {
    let before = definitions(database);
    let Err(UpError::Refused(misfits)) = up(database) else { panic!("not refused") };
    assert_eq!(definitions(database), before);
    misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn only_ordinary_tables_are_adopted() {
    let database = TestDatabase::postgres();
    database.execute("CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER s FOREIGN DATA WRAPPER nothing");
    let parent = create_tables(&database)[0].replace("IF NOT EXISTS ", "");
    let made = |from: &str, to: &str| parent.replace(from, to);
    let mut kinds = Vec::new();
    for (make, remove) in [
        ("CREATE VIEW projects_project AS SELECT 1 AS id".to_owned(), "DROP VIEW projects_project"),
        (
            "CREATE MATERIALIZED VIEW projects_project AS SELECT 1 AS id".to_owned(),
            "DROP MATERIALIZED VIEW projects_project",
        ),
        (
            "CREATE FOREIGN TABLE projects_project (id uuid) SERVER s".to_owned(),
            "DROP FOREIGN TABLE projects_project",
        ),
        (format!("{} PARTITION BY HASH (id)", parent.trim_end_matches(';')), "DROP TABLE projects_project"),
        (made("CREATE TABLE", "CREATE UNLOGGED TABLE"), "DROP TABLE projects_project"),
        (
            format!("{parent} CREATE TABLE part () INHERITS (projects_project)"),
            "DROP TABLE projects_project CASCADE",
        ),
        (
            format!(
                "{} CREATE TABLE projects_project (PRIMARY KEY (id)) INHERITS (whole)",
                made("projects_project", "whole")
            ),
            "DROP TABLE whole CASCADE",
        ),
        ("CREATE SEQUENCE projects_project".to_owned(), "DROP SEQUENCE projects_project"),
    ] {
        database.execute(&make);
        kinds.push(refused(&database));
        database.execute(remove);
    }
    insta::assert_snapshot!("places_postgres", kinds.join("\n"));
}

#[test]
fn views_and_virtual_tables_of_sqlite_are_not_adopted() {
    let database = TestDatabase::sqlite();
    database.execute(
        "CREATE VIEW projects_schoolproject AS SELECT 1 AS project_id; \
         CREATE VIRTUAL TABLE projects_selfstudyproject USING fts5(goal_description)",
    );
    insta::assert_snapshot!("places_sqlite", refused(&database));
}

/// Tables behind the first schema of the path: a migration would make empty ones before them.
#[test]
fn tables_in_another_schema_are_not_shadowed() {
    let database = TestDatabase::postgres();
    database.execute(&create_tables(&database).concat());
    database.execute(
        "CREATE TABLE __diesel_schema_migrations (version text PRIMARY KEY, run_on timestamp); CREATE SCHEMA tools",
    );
    let url = format!("{}&options=-csearch_path%3Dtools,public", database.url());
    let mut connection = open_as(&url, "up");
    let before = definitions(&database);
    let error = sti_core::expand::up(&mut connection, Default::default(), &mut |_| {}).unwrap_err();
    let UpError::Refused(misfits) = error else { panic!("{error}") };
    assert_eq!(definitions(&database), before);
    let lines: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("places_other_schema", lines.join("\n"));
}

/// Rows that a policy hides would be skipped by every tool, and counted by none.
#[test]
fn row_level_security_is_refused_for_whom_it_hides_rows_from() {
    let database = TestDatabase::postgres();
    up(&database).unwrap();
    let role = database.application_role();
    database.execute("ALTER TABLE projects_project ENABLE ROW LEVEL SECURITY");
    database.grant_application(&["projects_project", "sti_drop_event", "__diesel_schema_migrations"]);
    assert!(plan(&database).misfits.is_empty(), "the superuser sees every row");
    let plan = sti_core::expand::plan(&mut open_as(&role, "up")).unwrap();
    insta::assert_snapshot!("places_hidden_rows", plan.misfits[0]);
}

#[test]
fn what_the_role_lacks_is_named_with_the_statement_that_grants_it() {
    let database = TestDatabase::postgres();
    database.execute(&create_tables(&database)[0]);
    database.execute("CREATE TABLE __diesel_schema_migrations (version text PRIMARY KEY, run_on timestamp)");
    let url = database.application_role();
    database.grant_application(&["projects_project"]);
    let role = database.value("SELECT current_database()") + "_app";
    database.execute(&format!("GRANT SELECT ON __diesel_schema_migrations TO {role}"));
    let before = definitions(&database);
    let error = sti_core::expand::up(&mut open_as(&url, "up"), Default::default(), &mut |_| {})
        .unwrap_err()
        .to_string();
    assert_eq!(definitions(&database), before);
    insta::assert_snapshot!("places_lacking_rights", error.replace(&role, "app"));

    // With what the message says, it works.
    for line in error.lines() {
        database.execute(line.split_once("have it run").unwrap().1);
    }
    sti_core::expand::up(&mut open_as(&url, "up"), Default::default(), &mut |_| {}).unwrap();
}
