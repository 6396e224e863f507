//! What a script does: read a project, insert its row, next one.

use std::time::Instant;

use diesel::sql_types::Text;
use diesel::{QueryResult, RunQueryDsl, sql_query};
use sti_core::db::{Access, AnyConnection, Backend, DatabaseUrl, connect, dialect, write_transaction};

use super::contender::Done;
use crate::bench::process::Measured;
use crate::failure::Failure;

/// As many projects as are done at most: a throughput needs no million of them.
const PROJECTS: u64 = 20_000;

/// Projects in a transaction.
const CHUNK: usize = 1_000;

#[derive(diesel::QueryableByName)]
struct Project {
    #[diesel(sql_type = Text)]
    project_type: String,
    #[diesel(sql_type = Text)]
    course_name: String,
    #[diesel(sql_type = Text)]
    course_code: String,
    #[diesel(sql_type = Text)]
    teacher_name: String,
    #[diesel(sql_type = Text)]
    goal_description: String,
    #[diesel(sql_type = Text)]
    study_frequency: String,
}

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = Text)]
    id: String,
}

pub(super) fn run(url: &str, projects: u64) -> Result<Done, Failure> {
    let url = DatabaseUrl::parse(url).map_err(|error| Failure::new(error.to_string()))?;
    let connection = connect(&url, Access::Write, "cargo xtask bench");
    let mut connection = connection.map_err(|error| Failure::new(error.to_string()))?;
    let began = Instant::now();
    let rows = fill(&mut connection, projects).map_err(Failure::during("fill row by row"))?;
    let measured = Measured { seconds: began.elapsed().as_secs_f64(), peak_kib: None };
    Ok(Done { measured, rows })
}

fn fill(connection: &mut AnyConnection, projects: u64) -> QueryResult<u64> {
    let cast = match dialect::backend(connection) {
        Backend::Postgres => "CAST($1 AS uuid)",
        Backend::Sqlite => "$1",
    };
    let ids: Vec<Id> = sql_query(format!(
        "SELECT CAST(id AS text) AS id FROM projects_project \
         WHERE project_type IN ('school', 'self_study') AND NOT is_draft ORDER BY id LIMIT {}",
        projects.min(PROJECTS)
    ))
    .load(connection)?;
    for chunk in ids.chunks(CHUNK) {
        write_transaction(connection, |connection| {
            chunk.iter().try_for_each(|id| copy(connection, &id.id, cast))
        })?;
    }
    Ok(ids.len() as u64)
}

fn copy(connection: &mut AnyConnection, id: &str, cast: &str) -> QueryResult<()> {
    let project: Project = sql_query(format!(
        "SELECT project_type, COALESCE(course_name, '') AS course_name, COALESCE(course_code, '') AS course_code, \
         COALESCE(teacher_name, '') AS teacher_name, COALESCE(goal_description, '') AS goal_description, \
         COALESCE(study_frequency, '') AS study_frequency FROM projects_project WHERE id = {cast}"
    ))
    .bind::<Text, _>(id)
    .get_result(connection)?;
    if project.project_type == "school" {
        sql_query(format!("INSERT INTO projects_schoolproject (project_id, course_name, course_code, teacher_name) VALUES ({cast}, $2, $3, $4)"))
            .bind::<Text, _>(id)
            .bind::<Text, _>(project.course_name)
            .bind::<Text, _>(project.course_code)
            .bind::<Text, _>(project.teacher_name)
            .execute(connection)?;
    } else {
        sql_query(format!("INSERT INTO projects_selfstudyproject (project_id, goal_description, study_frequency) VALUES ({cast}, $2, $3)"))
            .bind::<Text, _>(id)
            .bind::<Text, _>(project.goal_description)
            .bind::<Text, _>(project.study_frequency)
            .execute(connection)?;
    }
    Ok(())
}
