//! Puts the rows into the database, some thousands in each statement.

use diesel::sql_types::Text;
use diesel::{QueryResult, RunQueryDsl, sql_query};
use sti_core::db::{AnyConnection, Backend, dialect};

use super::project;
use super::values::Values;

/// Projects in one statement.
const CHUNK: u64 = 5000;

const PROJECT: [(&str, Kind); 14] = [
    ("id", Kind::Uuid),
    ("name", Kind::Text),
    ("project_type", Kind::Text),
    ("owner_id", Kind::Integer),
    ("course_name", Kind::Text),
    ("course_code", Kind::Text),
    ("teacher_name", Kind::Text),
    ("goal_description", Kind::Text),
    ("study_frequency", Kind::Text),
    ("start_date", Kind::Date),
    ("end_date", Kind::Date),
    ("is_draft", Kind::Bool),
    ("created_at", Kind::Moment),
    ("updated_at", Kind::Moment),
];
const SCHOOL: [(&str, Kind); 4] = [
    ("project_id", Kind::Uuid),
    ("course_name", Kind::Text),
    ("course_code", Kind::Text),
    ("teacher_name", Kind::Text),
];
const SELF_STUDY: [(&str, Kind); 3] =
    [("project_id", Kind::Uuid), ("goal_description", Kind::Text), ("study_frequency", Kind::Text)];

#[derive(Clone, Copy)]
enum Kind {
    Uuid,
    Text,
    Integer,
    Date,
    Bool,
    Moment,
}

/// Makes `projects` projects and loads them. The caller's transaction makes it all or nothing.
pub(super) fn load(connection: &mut AnyConnection, projects: u64, seed: u64) -> QueryResult<()> {
    let backend = dialect::backend(connection);
    let insert_project = statement(backend, "projects_project", &PROJECT);
    let insert_school = statement(backend, "projects_schoolproject", &SCHOOL);
    let insert_self_study = statement(backend, "projects_selfstudyproject", &SELF_STUDY);
    let values = Values::new();
    let mut first = 0;
    while first < projects {
        let after = projects.min(first + CHUNK);
        let (mut parents, mut school, mut self_study) = (Array::new(), Array::new(), Array::new());
        for index in first..after {
            let rows = project::make(&values, seed, index);
            parents.push(&rows.project);
            rows.school.iter().for_each(|row| school.push(row));
            rows.self_study.iter().for_each(|row| self_study.push(row));
        }
        for (sql, rows) in
            [(&insert_project, parents), (&insert_school, school), (&insert_self_study, self_study)]
        {
            sql_query(sql).bind::<Text, _>(rows.close()).execute(connection)?;
        }
        first = after;
    }
    Ok(())
}

/// An INSERT whose rows are one JSON array of arrays: one value to bind, and the database takes it apart.
fn statement(backend: Backend, table: &str, columns: &[(&str, Kind)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let value = |(index, (_, kind)): (usize, &(&str, Kind))| match backend {
        Backend::Sqlite => format!("value ->> {index}"),
        Backend::Postgres => {
            let cast = match kind {
                Kind::Uuid => "::uuid",
                Kind::Text => "",
                Kind::Integer => "::bigint",
                Kind::Date => "::date",
                Kind::Bool => "::boolean",
                Kind::Moment => "::timestamp AT TIME ZONE 'UTC'",
            };
            format!("(value ->> {index}){cast}")
        }
    };
    let values: Vec<String> = columns.iter().enumerate().map(value).collect();
    let rows = match backend {
        Backend::Sqlite => "json_each($1)",
        Backend::Postgres => "jsonb_array_elements($1::jsonb) AS rows (value)",
    };
    format!("INSERT INTO {table} ({}) SELECT {} FROM {rows}", names.join(", "), values.join(", "))
}

/// A JSON array in the making.
struct Array(String);

impl Array {
    fn new() -> Self {
        Self("[".to_owned())
    }

    fn push(&mut self, item: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(item);
    }

    fn close(mut self) -> String {
        self.0.push(']');
        self.0
    }
}
