//! Each way in which a table does not fit: refused by name, with expected and found, and nothing changed.

use std::fmt::Write as _;

use sti_core::both_backends;
use sti_core::expand::{LegacyColumns, UpError};
use sti_core::test_support::TestDatabase;

use super::rig::{create_tables, definitions, plan, up};

both_backends! {
    columns_that_do_not_fit,
    columns_that_fit_in_another_form,
    legacy_columns_may_be_gone_only_by_our_drop,
    all_misfits_are_listed_at_once,
    names_of_ours_that_are_taken,
    recorded_tables_that_are_gone,
}

/// Table, column, and its definition on PostgreSQL and on SQLite (empty: no such column).
type Case = (&'static str, &'static str, &'static str, &'static str);

const PARENT: &str = "projects_project";
const SCHOOL: &str = "projects_schoolproject";
const SELF_STUDY: &str = "projects_selfstudyproject";

const REFUSED: [Case; 25] = [
    (PARENT, "id", "bigint NOT NULL PRIMARY KEY", "integer NOT NULL PRIMARY KEY"),
    (PARENT, "id", "uuid NOT NULL", "char(32) NOT NULL"),
    (PARENT, "id", "uuid PRIMARY KEY DEFERRABLE", "char(32) PRIMARY KEY"),
    (PARENT, "id", "uuid NOT NULL UNIQUE", "uuid NOT NULL PRIMARY KEY"),
    (PARENT, "name", "varchar(254) NOT NULL", "integer NOT NULL"),
    (PARENT, "name", "varchar(255)", "varchar(255)"),
    (PARENT, "name", "char(255) NOT NULL", "blob NOT NULL"),
    (PARENT, "project_type", "varchar(19) NOT NULL", "int NOT NULL"),
    (PARENT, "owner_id", "uuid NOT NULL", "char(32) NOT NULL"),
    (PARENT, "owner_id", "", ""),
    (PARENT, "course_name", "varchar(255) NOT NULL", "varchar(255) NOT NULL"),
    (PARENT, "course_code", "bytea", "blob"),
    (PARENT, "goal_description", "text GENERATED ALWAYS AS (name) STORED", "text AS (name)"),
    (PARENT, "start_date", "timestamp", "datetime"),
    (PARENT, "is_draft", "boolean", "bool"),
    (PARENT, "is_draft", "integer NOT NULL", "integer NOT NULL"),
    (PARENT, "created_at", "timestamp NOT NULL", "integer NOT NULL"),
    (PARENT, "updated_at", "timestamptz", "datetime"),
    (SCHOOL, "project_id", "uuid NOT NULL", "char(32) NOT NULL"),
    (SCHOOL, "project_id", "uuid NOT NULL REFERENCES projects_project", "char(32) PRIMARY KEY"),
    (SCHOOL, "course_name", "varchar(255)", "varchar(255)"),
    (SCHOOL, "course_code", "varchar(49) NOT NULL", "integer NOT NULL"),
    (SCHOOL, "teacher_name", "", ""),
    (SELF_STUDY, "goal_description", "varchar(255) NOT NULL", "integer NOT NULL"),
    (
        SELF_STUDY,
        "study_frequency",
        "varchar(50) NOT NULL, level integer NOT NULL",
        "text NOT NULL, level int NOT NULL",
    ),
];

const ACCEPTED: [Case; 11] = [
    (PARENT, "name", "text NOT NULL", "text NOT NULL"),
    (PARENT, "name", "varchar(300) NOT NULL", "varchar(10) NOT NULL"),
    (PARENT, "project_type", "varchar NOT NULL", "char(20) NOT NULL"),
    (PARENT, "owner_id", "integer NOT NULL", "bigint NOT NULL"),
    (PARENT, "owner_id", "bigint NOT NULL", "integer NOT NULL"),
    (PARENT, "course_code", "varchar(20)", "text"),
    (PARENT, "end_date", "date NOT NULL", "date NOT NULL"),
    (PARENT, "is_draft", "boolean NOT NULL DEFAULT true", "boolean NOT NULL DEFAULT true"),
    (PARENT, "name", "varchar(255) NOT NULL, level integer", "varchar(255) NOT NULL, level integer"),
    (SCHOOL, "course_name", "text NOT NULL", "text NOT NULL"),
    (
        SCHOOL,
        "course_code",
        "varchar(80) NOT NULL, level integer NOT NULL DEFAULT 1",
        "text NOT NULL, level int NOT NULL DEFAULT 1",
    ),
];

/// Makes the tables with one column defined otherwise; a parent stands alone, so that nothing has to refer to it.
fn make(database: &TestDatabase, case: Case) -> String {
    let (table, column, postgres, sqlite) = case;
    let definition = database.either(postgres, sqlite);
    let create = create_tables(database);
    if table != PARENT {
        database.execute(&create[0]);
    }
    let statement = create.iter().find(|text| text.contains(&format!("EXISTS {table} "))).unwrap();
    let begin = statement.find(&format!("    {column} ")).unwrap();
    let rest = &statement[begin..];
    let end = rest.find(",\n").unwrap_or_else(|| rest.rfind("\n)").unwrap());
    let (before, after) = (&statement[..begin], &rest[end..]);
    let line = if definition.is_empty() { String::new() } else { format!("    {column} {definition}") };
    let made =
        format!("{before}{line}{after}").replace("(\n,", "(").replace(",\n,", ",").replace(",\n\n)", ")");
    database.execute(&made);
    definition.to_owned()
}

fn clear(database: &TestDatabase) {
    for table in [SELF_STUDY, SCHOOL, PARENT] {
        database.execute(&format!("DROP TABLE IF EXISTS {table}"));
    }
}

fn columns_that_do_not_fit(database: &TestDatabase) {
    let mut refused = String::new();
    for case in REFUSED {
        let definition = make(database, case);
        let before = definitions(database);
        let Err(UpError::Refused(misfits)) = up(database) else { panic!("{case:?} is not refused") };
        assert_eq!(definitions(database), before, "{case:?}");
        assert_eq!(misfits.len(), 1, "{case:?}: {misfits:?}");
        writeln!(refused, "-- {} {definition}\n{}", case.1, misfits[0]).unwrap();
        clear(database);
    }
    insta::assert_snapshot!(format!("misfits_{}", database.backend_name()), refused);
}

fn columns_that_fit_in_another_form(database: &TestDatabase) {
    for case in ACCEPTED {
        make(database, case);
        let planned = plan(database);
        assert_eq!(planned.misfits, [], "{case:?}");
        clear(database);
    }
}

fn legacy_columns_may_be_gone_only_by_our_drop(database: &TestDatabase) {
    up(database).unwrap();
    let drop_columns = |columns: &[&str]| {
        for column in columns {
            database.execute(&format!("ALTER TABLE {PARENT} DROP COLUMN {column}"));
        }
    };
    drop_columns(&["course_code", "teacher_name"]);
    let gone = |plan: sti_core::expand::Plan| -> Vec<String> {
        plan.misfits.iter().map(ToString::to_string).collect()
    };
    insta::assert_snapshot!("some_legacy_columns_gone", gone(plan(database)).join("\n"));

    drop_columns(&["course_name", "goal_description", "study_frequency"]);
    assert_eq!(gone(plan(database)).len(), 5);

    let event = |restored: &str| {
        format!(
            "INSERT INTO sti_drop_event (dropped_at, restored_at, tool_version) \
             VALUES ('2026-01-02 03:04:05', {restored}, '1')"
        )
    };
    database.execute(&event("'2026-01-03 03:04:05'"));
    assert_eq!(gone(plan(database)).len(), 5, "that drop was undone");

    database.execute(&event("NULL"));
    let after = plan(database);
    assert_eq!((after.legacy, after.misfits), (LegacyColumns::Dropped, vec![]));

    database.execute(&format!("ALTER TABLE {PARENT} ADD COLUMN course_name varchar(255)"));
    assert_eq!(gone(plan(database)).len(), 4, "some are back and some are not");
}

fn all_misfits_are_listed_at_once(database: &TestDatabase) {
    database.execute(
        "CREATE TABLE projects_project (id integer, name text NOT NULL); \
         CREATE TABLE projects_schoolproject (id integer NOT NULL); \
         CREATE VIEW projects_selfstudyproject AS SELECT 1 AS project_id; \
         CREATE TABLE sti_drop_event (id integer)",
    );
    let before = definitions(database);
    let Err(UpError::Refused(misfits)) = up(database) else { panic!("not refused") };
    assert_eq!(definitions(database), before);
    let lines: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(format!("all_misfits_{}", database.backend_name()), lines.join("\n"));
}

fn names_of_ours_that_are_taken(database: &TestDatabase) {
    let schema = database.either("public", "main");
    for (make, kind, remove) in [
        ("CREATE TABLE sti_backfill_chunk (id integer)", "table", "DROP TABLE sti_backfill_chunk"),
        ("CREATE VIEW sti_backfill_chunk AS SELECT 1 AS one", "view", "DROP VIEW sti_backfill_chunk"),
        ("CREATE TABLE t (id integer); CREATE INDEX sti_backfill_chunk ON t (id)", "index", "DROP TABLE t"),
    ] {
        database.execute(make);
        let before = definitions(database);
        let Err(UpError::Refused(misfits)) = up(database) else { panic!("{make}: not refused") };
        assert_eq!(
            misfits.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!(
                "sti_backfill_chunk: expected nothing of this name before migration \
                 00000000000102_sti_backfill_ledger makes it, found somebody else's {kind} in schema {schema}: rename \
                 or remove it"
            )]
        );
        assert_eq!(definitions(database), before);
        database.execute(remove);
    }
    up(database).unwrap();
}

fn recorded_tables_that_are_gone(database: &TestDatabase) {
    up(database).unwrap();
    database.execute("DROP TABLE projects_schoolproject; DROP TABLE sti_repair_log");
    let Err(UpError::Refused(misfits)) = up(database) else { panic!("not refused") };
    let lines: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("recorded_but_gone", lines.join("\n"));
    // What the message says.
    database.execute(
        "DELETE FROM __diesel_schema_migrations WHERE version IN ('00000000000101', '00000000000103')",
    );
    assert!(up(database).unwrap().changed());
    assert!(plan(database).misfits.is_empty());
}
