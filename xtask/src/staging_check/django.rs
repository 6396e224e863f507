//! A database as the Django application leaves it: its own tables, indexes and foreign keys, filled with the sample.

use sti_core::db::{Access, connect};

use super::database::Database;
use crate::failure::Failure;
use crate::sample;

/// What else the application's rows hold: syllabi, dates of its other table, and its pointers at some subtype rows.
const DECORATIONS: [&str; 3] = [
    "UPDATE projects_project SET syllabus = '{\"weeks\": 12}' WHERE owner_id % 20 = 0",
    "INSERT INTO projects_importantdate (title, date, project_id) \
     SELECT 'deadline', '2026-01-31', id FROM projects_project WHERE owner_id % 25 = 0",
    "UPDATE projects_project SET school_project_id = id WHERE project_type = 'school' \
     AND id IN (SELECT project_id FROM projects_schoolproject)",
];

/// Makes tables and rows in an empty database.
pub(super) fn make(database: &Database, projects: u64, seed: u64) -> Result<(), Failure> {
    let tables = database.either(include_str!("django/postgres.sql"), include_str!("django/sqlite.sql"));
    database.execute(tables)?;
    let mut connection = connect(database.url(), Access::Write, "cargo xtask staging-check")
        .map_err(|error| Failure::new(error.to_string()))?;
    sample::add(&mut connection, projects, seed)?;
    DECORATIONS.iter().try_for_each(|sql| database.execute(sql))
}
