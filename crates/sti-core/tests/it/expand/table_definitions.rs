//! `schema.rs`, held against live databases: the ones that Django made, and the ones that we made.

use diesel::prelude::*;
use sti_core::both_backends;
use sti_core::db::catalog::{self, Column};
use sti_core::schema::{projects_project, projects_schoolproject, projects_selfstudyproject};
use sti_core::test_support::TestDatabase;
use sti_core::{Project, SchoolProject, SelfStudyProject};

use super::rig::{open, up};

both_backends! { table_macros_match_what_we_make }
both_backends! { django: table_macros_match_what_django_made }

fn table_macros_match_what_we_make(database: &TestDatabase) {
    up(database).unwrap();
    compare(database);
}

fn table_macros_match_what_django_made(database: &TestDatabase) {
    compare(database);
    let connection = &mut open(database);
    // Every value of every row can be read through them.
    let projects: Vec<Project> =
        projects_project::table.select(Project::as_select()).load(connection).unwrap();
    assert_eq!(projects.len(), 10_000);
    let texts = (
        projects_project::course_name,
        projects_project::course_code,
        projects_project::teacher_name,
        projects_project::goal_description,
        projects_project::study_frequency,
    );
    type Texts = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);
    let legacy: Vec<Texts> = projects_project::table.select(texts).load(connection).unwrap();
    assert_eq!(legacy.len(), 10_000);
    let school: Vec<SchoolProject> =
        projects_schoolproject::table.select(SchoolProject::as_select()).load(connection).unwrap();
    let self_study: Vec<SelfStudyProject> =
        projects_selfstudyproject::table.select(SelfStudyProject::as_select()).load(connection).unwrap();
    assert_eq!(school.len() as i64, database.count("projects_schoolproject"));
    assert_eq!(self_study.len() as i64, database.count("projects_selfstudyproject"));
}

/// Each column of each `table!` is there with the type and the nullability that the macro says.
fn compare(database: &TestDatabase) {
    let definitions = definitions();
    let names: Vec<&str> = definitions.iter().map(|(table, _)| *table).collect();
    for table in ["projects_project", "projects_schoolproject", "projects_selfstudyproject"] {
        assert!(names.contains(&table), "{table} is not among {names:?}");
    }
    for (table, columns) in definitions {
        let found = catalog::columns(&mut open(database), table).unwrap();
        for (column, of) in columns {
            let live = found.iter().find(|live| live.name == column);
            let live = live.unwrap_or_else(|| panic!("{table}.{column} is not in the database"));
            let expected = expected(of);
            assert!(expected.iter().any(|e| *e == shape(live)), "{table}.{column}: {of}, found {live:?}");
        }
    }
}

fn shape(column: &Column) -> (String, bool) {
    let name = column.data_type.split('(').next().unwrap_or_default().to_owned();
    (name, column.nullable)
}

/// The types of both backends that a type of the macro stands for.
fn expected(of: &str) -> Vec<(String, bool)> {
    let (inner, nullable) = match of.strip_prefix("Nullable<") {
        Some(rest) => (rest.trim_end_matches('>'), true),
        None => (of, false),
    };
    let types: &[&str] = match inner {
        "DbUuid" => &["uuid", "char"],
        "Text" => &["text", "character varying", "varchar"],
        "DbInteger" => &["integer", "bigint"],
        "Date" => &["date"],
        "Bool" => &["boolean", "bool"],
        "DbTimestamp" => &["timestamp with time zone", "datetime"],
        other => panic!("{other} is new here: say which column types it stands for"),
    };
    types.iter().map(|name| ((*name).to_owned(), nullable)).collect()
}

/// Tables, columns and types as `schema.rs` has them.
fn definitions() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let mut tables: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    for line in include_str!("../../../src/schema.rs").lines().map(str::trim) {
        if let Some((column, of)) = line.split_once(" -> ") {
            tables.last_mut().unwrap().1.push((column, of.trim_end_matches(',')));
        } else if let Some((table, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            tables.push((table, Vec::new()));
        }
    }
    tables
}
