//! What the tests of the sync triggers share: the triggers on both schemas, and a writer that knows nothing of subtype
//! rows, under a role that owns nothing.

use diesel::connection::SimpleConnection as _;
use sti_core::contract::restore::Attempts;
use sti_core::models::Kind;
use sti_core::sync::{Install, Installed, Remove, SyncError, install, remove, status};
use sti_core::test_support::TestDatabase;

use crate::backfill::rig::differences;
use crate::contract::rig::bring_level;
use crate::repository::rig::{application, id, migrate, owner, row};

/// Each case on a database of our own making, and on Django's.
macro_rules! both_schemas {
    ($($case:ident),+ $(,)?) => { $(
        mod $case {
            #[test]
            fn ours() {
                super::$case(&crate::sync::rig::ours());
            }
            #[test]
            fn django() {
                super::$case(&crate::sync::rig::django());
            }
        }
    )+ };
}
pub(crate) use both_schemas;

/// Our tables, empty, with the triggers.
pub(crate) fn ours() -> TestDatabase {
    let database = TestDatabase::postgres();
    migrate(&database);
    installed(&database);
    database
}

/// Django's tables and projects, both sides level, with the triggers.
pub(crate) fn django() -> TestDatabase {
    let database = TestDatabase::django_postgres();
    migrate(&database);
    bring_level(&database);
    installed(&database);
    database
}

pub(crate) fn try_install(database: &TestDatabase) -> Result<Install, SyncError> {
    install(&mut || Ok(owner(database)), Attempts { attempts: 2, ..Attempts::default() }, &mut |_| {})
}

/// Installs; gives what was mended.
#[track_caller]
pub(crate) fn installed(database: &TestDatabase) -> Vec<String> {
    match try_install(database).unwrap() {
        Install::Done { mended, .. } => mended,
        other => panic!("not installed: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn removed(database: &TestDatabase) {
    let removed = remove(&mut || Ok(owner(database)), Attempts::default(), &mut |_| {}).unwrap();
    assert!(matches!(removed, Remove::Done { .. }), "{removed:?}");
}

/// What is wrong; `None` where nothing is installed.
pub(crate) fn problems(database: &TestDatabase) -> Option<Vec<String>> {
    let status = status(&mut owner(database)).unwrap();
    (status.installed != Installed::No).then_some(status.problems)
}

/// Runs SQL as the application.
#[track_caller]
pub(crate) fn run(database: &TestDatabase, sql: &str) {
    try_run(database, sql).unwrap_or_else(|error| panic!("{error}\nin: {sql}"));
}

/// What the database says to the application.
pub(crate) fn try_run(database: &TestDatabase, sql: &str) -> Result<(), String> {
    application(database).batch_execute(sql).map_err(|error| error.to_string())
}

/// SQL: a new project, as a writer that names every legacy column makes it.
pub(crate) fn insert_sql(number: u32, project_type: &str, legacy: [Option<&str>; 5]) -> String {
    let values = legacy.map(literal).join(", ");
    format!(
        "INSERT INTO projects_project (id, name, project_type, course_name, course_code, teacher_name, \
            goal_description, study_frequency, is_draft, created_at, updated_at, owner_id) \
         VALUES ('{}', 'project {number}', '{project_type}', {values}, false, now(), now(), 1)",
        id(number)
    )
}

/// SQL: what Django's `save()` does: every column is named, whatever has changed.
pub(crate) fn save_sql(number: u32, project_type: &str, legacy: [Option<&str>; 5]) -> String {
    let [name, code, teacher, goal, frequency] = legacy.map(literal);
    format!(
        "UPDATE projects_project SET name = 'saved', project_type = '{project_type}', course_name = {name}, \
            course_code = {code}, teacher_name = {teacher}, goal_description = {goal}, \
            study_frequency = {frequency}, is_draft = false, updated_at = now() WHERE id = '{}'",
        id(number)
    )
}

fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

/// Both rows of a project: school, self-study.
pub(crate) fn rows(database: &TestDatabase, number: u32) -> [Option<Vec<String>>; 2] {
    Kind::ALL.map(|kind| row(database, kind, id(number)))
}

/// A project's only row.
#[track_caller]
pub(crate) fn only(database: &TestDatabase, kind: Kind, number: u32) -> Vec<String> {
    let [school, self_study] = rows(database, number);
    match (kind, school, self_study) {
        (Kind::School, Some(row), None) | (Kind::SelfStudy, None, Some(row)) => row,
        (_, school, self_study) => panic!("expected a {kind} row, found {school:?} and {self_study:?}"),
    }
}

/// Both sides agree, by a verification and by plain SQL.
#[track_caller]
pub(crate) fn assert_level(database: &TestDatabase) {
    use sti_core::verify::{VerifyOptions, verify};
    assert_eq!(differences(database), [0; 4]);
    let report =
        verify(&mut owner(database), VerifyOptions { sample: 3, ..VerifyOptions::default() }).unwrap();
    assert!(report.is_clean(), "{:#?}", report.classes);
}
