//! What the repository's tests share: the application's side as the library sees it, and plain SQL beside it.

use diesel::connection::{Connection, TransactionManager as _};
use sti_core::db::sql_types::Integer;
use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect};
use sti_core::models::Kind;
use sti_core::repository::{
    Details, DetailsPatch, NewDetails, NewProject, ProjectPatch, ProjectRecord, SchoolDetails, SchoolPatch,
    SelfStudyDetails, SelfStudyPatch,
};
use sti_core::test_support::{self, TestDatabase};
use sti_core::{ProjectId, ProjectRepository, WriteMode};

pub(crate) const MODES: [WriteMode; 3] = [WriteMode::Legacy, WriteMode::Dual, WriteMode::Subtype];
pub(crate) const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];
const TABLES: [&str; 3] = ["projects_project", "projects_schoolproject", "projects_selfstudyproject"];

/// Another empty database on the same backend, where one test needs several.
pub(crate) fn another(database: &TestDatabase) -> TestDatabase {
    match database.backend_name() {
        "postgres" => TestDatabase::postgres(),
        _ => TestDatabase::sqlite(),
    }
}

/// A connection as the owner of the tables.
pub(crate) fn owner(database: &TestDatabase) -> AnyConnection {
    connect(&DatabaseUrl::parse(database.url()).unwrap(), Access::Write, "owner").unwrap()
}

/// A connection of the application, whose role owns nothing.
pub(crate) fn application(database: &TestDatabase) -> AnyConnection {
    let url = database.application_role();
    connect(&DatabaseUrl::parse(&url).unwrap(), Access::Write, "application").unwrap()
}

/// Makes the tables (what is there is adopted) and lets the application write its own.
pub(crate) fn migrate(database: &TestDatabase) {
    test_support::migrate(database);
    database.grant_application(&TABLES);
}

/// [`migrate`], and the application with a repository in `mode`.
pub(crate) fn start(database: &TestDatabase, mode: WriteMode) -> (AnyConnection, ProjectRepository) {
    migrate(database);
    open(database, mode)
}

pub(crate) fn open(database: &TestDatabase, mode: WriteMode) -> (AnyConnection, ProjectRepository) {
    let mut connection = application(database);
    let repository = ProjectRepository::open(&mut connection, mode).unwrap();
    (connection, repository)
}

/// An id with its number in the last digits.
pub(crate) fn id(number: u32) -> ProjectId {
    format!("{number:032x}").parse().unwrap()
}

/// Inserts a project with these legacy values, by SQL.
pub(crate) fn insert(database: &TestDatabase, number: u32, project_type: &str, legacy: [Option<&str>; 5]) {
    let values = legacy.map(|value| value.map_or_else(|| "NULL".to_owned(), quoted));
    database.execute(&format!(
        "INSERT INTO projects_project (id, name, project_type, {}, is_draft, created_at, updated_at, owner_id) \
         VALUES ('{number:032x}', 'project {number}', {}, {}, true, '2020-01-02 03:04:05', \
                 '2020-01-02 03:04:05', 1)",
        LEGACY.join(", "),
        quoted(project_type),
        values.join(", "),
    ));
}

/// Inserts a subtype row, by SQL.
pub(crate) fn insert_row(database: &TestDatabase, kind: Kind, number: u32, values: &[&str]) {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    database.execute(&format!(
        "INSERT INTO {} (project_id, {}) VALUES ('{number:032x}', {})",
        kind.table(),
        kind.columns().join(", "),
        values.join(", ")
    ));
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The five legacy values of a project.
#[track_caller]
pub(crate) fn legacy(database: &TestDatabase, id: ProjectId) -> Vec<Option<String>> {
    let rows = database.select(&LEGACY, &format!("FROM projects_project WHERE id = '{}'", id.hex()));
    rows.into_iter().next().unwrap_or_else(|| panic!("no project {id}"))
}

/// The values of a project's subtype row of `kind`, if it has one.
pub(crate) fn row(database: &TestDatabase, kind: Kind, id: ProjectId) -> Option<Vec<String>> {
    let rest = format!("FROM {} WHERE project_id = '{}'", kind.table(), id.hex());
    let values = database.select(kind.columns(), &rest).into_iter().next()?;
    Some(values.into_iter().map(|value| value.unwrap()).collect())
}

pub(crate) fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

pub(crate) fn values(values: &[Option<&str>]) -> Vec<Option<String>> {
    values.iter().map(|value| value.map(str::to_owned)).collect()
}

pub(crate) fn school(name: &str, code: &str, teacher: &str) -> SchoolDetails {
    SchoolDetails { course_name: name.into(), course_code: code.into(), teacher_name: teacher.into() }
}

pub(crate) fn self_study(goal: &str, frequency: &str) -> SelfStudyDetails {
    SelfStudyDetails { goal_description: goal.into(), study_frequency: frequency.into() }
}

pub(crate) fn new_school(number: u32, name: &str, code: &str, teacher: &str) -> NewProject {
    new(number, NewDetails::School(school(name, code, teacher)))
}

pub(crate) fn new_self_study(number: u32, goal: &str, frequency: &str) -> NewProject {
    new(number, NewDetails::SelfStudy(self_study(goal, frequency)))
}

pub(crate) fn new(number: u32, details: NewDetails) -> NewProject {
    NewProject { id: id(number), ..NewProject::draft(format!("project {number}"), Integer(1), details) }
}

/// A patch of the teacher's name only.
pub(crate) fn teacher(name: &str) -> ProjectPatch {
    details(DetailsPatch::School(SchoolPatch { teacher_name: Some(name.into()), ..SchoolPatch::default() }))
}

/// A patch of the goal only.
pub(crate) fn goal(text: &str) -> ProjectPatch {
    details(DetailsPatch::SelfStudy(SelfStudyPatch {
        goal_description: Some(text.into()),
        ..SelfStudyPatch::default()
    }))
}

fn details(details: DetailsPatch) -> ProjectPatch {
    ProjectPatch { details: Some(details), ..ProjectPatch::default() }
}

pub(crate) fn publish() -> ProjectPatch {
    ProjectPatch { is_draft: Some(false), ..ProjectPatch::default() }
}

/// The details of a record as texts, in the order of its kind's columns.
pub(crate) fn details_of(record: &ProjectRecord) -> Vec<String> {
    match record.details.clone() {
        Details::School(all) => vec![all.course_name, all.course_code, all.teacher_name],
        Details::SelfStudy(all) => vec![all.goal_description, all.study_frequency],
        Details::None => Vec::new(),
    }
}

/// What the guarded drop does to the schema.
pub(crate) fn drop_legacy(database: &TestDatabase) {
    drop_columns(database, &LEGACY);
    record_drop(database);
}

pub(crate) fn drop_columns(database: &TestDatabase, columns: &[&str]) {
    let drops = columns.iter().map(|column| format!("ALTER TABLE projects_project DROP COLUMN {column};"));
    database.execute(&format!("BEGIN; {} COMMIT", drops.collect::<String>()));
}

pub(crate) fn record_drop(database: &TestDatabase) {
    database.execute(
        "INSERT INTO sti_drop_event (dropped_at, tool_version) VALUES ('2026-01-02 03:04:05', 'test')",
    );
}

/// The first half of a restore: the columns are back, and empty.
pub(crate) fn add_columns(database: &TestDatabase) {
    let types = ["varchar(255)", "varchar(50)", "varchar(255)", "text", "varchar(50)"];
    let adds = LEGACY.iter().zip(types);
    let adds = adds.map(|(column, kind)| format!("ALTER TABLE projects_project ADD COLUMN {column} {kind};"));
    database.execute(&format!("BEGIN; {} COMMIT", adds.collect::<String>()));
}

/// The second half: they are filled, and the event says so.
pub(crate) fn finish_restore(database: &TestDatabase) {
    let mut sets = Vec::new();
    for kind in Kind::ALL {
        for column in kind.columns() {
            let table = kind.table();
            sets.push(format!(
                "{column} = (SELECT s.{column} FROM {table} s WHERE s.project_id = projects_project.id)"
            ));
        }
    }
    database.execute(&format!(
        "BEGIN; UPDATE projects_project SET {}; \
         UPDATE sti_drop_event SET restored_at = '2026-01-03 03:04:05'; COMMIT",
        sets.join(", ")
    ));
}

/// Adds the two pointer columns that the Django application has, with its foreign keys.
pub(crate) fn add_pointers(database: &TestDatabase) {
    for kind in Kind::ALL {
        database.execute(&format!(
            "ALTER TABLE projects_project ADD COLUMN {} {} \
             REFERENCES {} (project_id) DEFERRABLE INITIALLY DEFERRED",
            kind.pointer(),
            database.either("uuid", "char(32)"),
            kind.table()
        ));
    }
}

type Manager = <AnyConnection as Connection>::TransactionManager;

/// The host begins a transaction of its own.
pub(crate) fn begin(connection: &mut AnyConnection) {
    Manager::begin_transaction(connection).unwrap();
}

/// The host commits.
pub(crate) fn commit(connection: &mut AnyConnection) -> Result<(), diesel::result::Error> {
    Manager::commit_transaction(connection)
}

/// The host rolls back.
pub(crate) fn roll_back(connection: &mut AnyConnection) {
    Manager::rollback_transaction(connection).unwrap();
}
