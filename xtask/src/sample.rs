//! `cargo xtask sample`: an empty database, filled with awkward projects.

mod load;
mod made;
mod project;
mod random;
mod values;

use std::process::ExitCode;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{QueryResult, RunQueryDsl, sql_query};
use sti_core::db::{Access, AnyConnection, DatabaseUrl, catalog, connect, migrations, write_transaction};

use crate::failure::{Failure, Outcome};

/// Fill an empty database with awkward sample projects.
///
/// Makes the schema, and a SQLite file that does not exist; refuses a database that has projects. The same seed
/// makes the same rows on both backends: 60 % school, 38 % self_study, 2 % unknown types, 10 % drafts, NULL beside
/// '', any Unicode, values of the other kind, and subtype rows that are equal, drifted or of the wrong kind.
///
/// Exit code: 0, or 2 with nothing filled in.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The database: postgres://USER@HOST/DATABASE or sqlite:PATH.
    #[arg(long, value_name = "URL")]
    database_url: String,
    /// How many projects.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    projects: u64,
    /// Which sample: any number.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let url = DatabaseUrl::parse(&options.database_url).map_err(|error| Failure::new(error.to_string()))?;
    println!("cargo xtask sample: {url}");
    let began = Instant::now();
    let counts = fill(&url, options.projects, options.seed)?;
    let width = counts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, count) in &counts {
        println!("{name:width$} {count:>10}");
    }
    println!("made in {:.1} s from seed {}", began.elapsed().as_secs_f64(), options.seed);
    Ok(ExitCode::SUCCESS)
}

/// Makes schema and rows; what is there now, counted by the database.
pub(crate) fn fill(url: &DatabaseUrl, projects: u64, seed: u64) -> Result<Vec<made::Count>, Failure> {
    let mut connection = connect(url, Access::Create, "cargo xtask sample")
        .map_err(|error| Failure::new(error.to_string()))?;
    refuse_projects(&mut connection, url)?;
    migrations::run_pending(&mut connection).map_err(Failure::during("make the schema"))?;
    add(&mut connection, projects, seed)?;
    made::count(&mut connection).map_err(Failure::during("count what was made"))
}

/// Adds the rows to the three tables, whoever made these: all of them or none. The owners are users 1 to 200.
pub(crate) fn add(connection: &mut AnyConnection, projects: u64, seed: u64) -> Result<(), Failure> {
    prepare(connection).map_err(Failure::during("prepare the load"))?;
    write_transaction(connection, |connection| load::load(connection, projects, seed))
        .map_err(Failure::during(format!("load {projects} projects (nothing was kept)")))?;
    finish(connection).map_err(Failure::during("collect the planner's statistics"))
}

fn refuse_projects(connection: &mut AnyConnection, url: &DatabaseUrl) -> Result<(), Failure> {
    let columns =
        catalog::columns(connection, "projects_project").map_err(|error| Failure::new(error.to_string()))?;
    if columns.is_empty() {
        return Ok(());
    }
    let count = count_projects(connection).map_err(Failure::during("count the projects that are there"))?;
    if count == 0 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{url} holds {count} projects: a sample fills an empty database and never adds to one; name another"
    )))
}

fn count_projects(connection: &mut AnyConnection) -> QueryResult<i64> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let row: Row = sql_query("SELECT count(*) AS count FROM projects_project").get_result(connection)?;
    Ok(row.count)
}

/// Random keys touch the whole index: it must fit in SQLite's cache.
fn prepare(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(_) => Ok(()),
        AnyConnection::Sqlite(c) => {
            c.batch_execute("PRAGMA cache_size = -262144; PRAGMA synchronous = NORMAL")
        }
    }
}

/// PostgreSQL plans a fresh table badly until it is analysed; SQLite's log would stay as big as the sample.
fn finish(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute("ANALYZE"),
        AnyConnection::Sqlite(c) => c.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)"),
    }
}

#[cfg(test)]
mod tests;
