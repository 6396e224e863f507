//! What the tests of verification and repair share: projects and subtype rows planted by plain SQL.

use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect};
use sti_core::models::{Kind, ProjectId};
use sti_core::test_support::TestDatabase;
pub(crate) use sti_core::test_support::migrate;
use sti_core::verify::{Class, VerifyError, VerifyOptions, VerifyReport, verify};

/// Opens the database as its owner.
pub(crate) fn open(database: &TestDatabase, access: Access) -> AnyConnection {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    connect(&url, access, "test").unwrap()
}

/// Verifies with samples of at most `sample` projects.
pub(crate) fn try_verify(database: &TestDatabase, sample: u32) -> Result<VerifyReport, VerifyError> {
    let options = VerifyOptions { sample, ..VerifyOptions::default() };
    verify(&mut open(database, Access::Read), options)
}

/// Verifies, with three samples of each class.
pub(crate) fn verified(database: &TestDatabase) -> VerifyReport {
    try_verify(database, 3).unwrap()
}

/// The classes that have any project, with their number.
pub(crate) fn found(database: &TestDatabase) -> Vec<(Class, i64)> {
    let report = verified(database);
    report.classes.iter().filter(|count| count.total > 0).map(|count| (count.class, count.total)).collect()
}

/// The `number`-th id, in the order of the numbers.
pub(crate) fn id(number: u32) -> ProjectId {
    format!("{number:08x}-0000-4000-8000-000000000000").parse().unwrap()
}

/// A value as SQL.
pub(crate) fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

fn list(values: &[Option<&str>]) -> String {
    values.iter().map(|value| literal(*value)).collect::<Vec<_>>().join(", ")
}

/// SQL: a project with these legacy values, in the order of the legacy columns.
pub(crate) fn project_sql(number: u32, project_type: &str, draft: bool, legacy: [Option<&str>; 5]) -> String {
    format!(
        "INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id, \
         course_name, course_code, teacher_name, goal_description, study_frequency) VALUES ('{}', 'p{number}', \
         {}, {draft}, '2026-01-02 03:04:05', '2026-01-02 03:04:05', 1, {});",
        id(number).hex(),
        literal(Some(project_type)),
        list(&legacy),
    )
}

/// SQL: a subtype row of `kind` with these values.
pub(crate) fn row_sql(number: u32, kind: Kind, values: &[&str]) -> String {
    let values: Vec<Option<&str>> = values.iter().copied().map(Some).collect();
    format!("INSERT INTO {} VALUES ('{}', {});", kind.table(), id(number).hex(), list(&values))
}

/// Plants a project.
pub(crate) fn project(database: &TestDatabase, number: u32, project_type: &str, legacy: [Option<&str>; 5]) {
    database.execute(&project_sql(number, project_type, false, legacy));
}

/// Plants a draft.
pub(crate) fn draft(database: &TestDatabase, number: u32, project_type: &str, legacy: [Option<&str>; 5]) {
    database.execute(&project_sql(number, project_type, true, legacy));
}

/// Plants a subtype row of a project that is there.
pub(crate) fn row(database: &TestDatabase, number: u32, kind: Kind, values: &[&str]) {
    database.execute(&row_sql(number, kind, values));
}

/// Plants a subtype row of a project that is not there, as a table without its foreign key would take it.
pub(crate) fn orphan(database: &TestDatabase, number: u32, kind: Kind, values: &[&str]) {
    let unchecked =
        database.either("SET session_replication_role = replica; ", "PRAGMA foreign_keys = OFF; ");
    database.execute(&format!("{unchecked}{}", row_sql(number, kind, values)));
}

/// No legacy value at all.
pub(crate) const NOTHING: [Option<&str>; 5] = [None; 5];
/// The legacy values of a school project.
pub(crate) const SCHOOL: [Option<&str>; 5] = [Some("Physics"), Some("P1"), Some("Curie"), None, None];
/// The same as a subtype row.
pub(crate) const SCHOOL_ROW: [&str; 3] = ["Physics", "P1", "Curie"];
/// The legacy values of a self-study project.
pub(crate) const SELF_STUDY: [Option<&str>; 5] = [None, None, None, Some("Read"), Some("daily")];
/// The same as a subtype row.
pub(crate) const SELF_STUDY_ROW: [&str; 2] = ["Read", "daily"];
