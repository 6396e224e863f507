//! The ways to fill the subtype tables that are measured beside each other.

use std::fmt;
use std::process::Command;
use std::time::Instant;

use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection, sql_query};

use super::row_by_row;
use crate::bench::built;
use crate::bench::place::execute;
use crate::bench::process::{Measured, measure};
use crate::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contender {
    /// One INSERT … SELECT per subtype table, each a transaction, on a connection as it is opened: what the bars are about.
    Raw,
    /// The same on SQLite with the page cache that `sti backfill` has: what the database can do at best. (PostgreSQL has one
    /// cache for all.)
    RawWithCache,
    /// `sti backfill`.
    Backfill { workers: u32 },
    /// `sti backfill --dry-run`, which writes nothing.
    DryRun,
    /// Each project read and its row inserted through diesel, a thousand in a transaction; of the first projects only.
    RowByRow,
}

/// What one turn did.
pub(super) struct Done {
    pub(super) measured: Measured,
    /// Rows written; for the dry run, that it found missing.
    pub(super) rows: u64,
}

pub(super) const RAW: [&str; 2] = [
    "INSERT INTO projects_schoolproject (project_id, course_name, course_code, teacher_name) \
     SELECT id, COALESCE(course_name, ''), COALESCE(course_code, ''), COALESCE(teacher_name, '') \
     FROM projects_project WHERE project_type = 'school' AND NOT is_draft",
    "INSERT INTO projects_selfstudyproject (project_id, goal_description, study_frequency) \
     SELECT id, COALESCE(goal_description, ''), COALESCE(study_frequency, '') \
     FROM projects_project WHERE project_type = 'self_study' AND NOT is_draft",
];

impl Contender {
    /// Whether its rows are all rows that are missing.
    pub(super) fn writes_all(self) -> bool {
        self != Self::RowByRow
    }

    pub(super) fn run(self, url: &str, projects: u64, arguments: &[String]) -> Result<Done, Failure> {
        match self {
            Self::Raw | Self::RawWithCache => {
                let cache = if self == Self::Raw { "" } else { CACHE };
                let began = Instant::now();
                for sql in RAW {
                    execute(url, &format!("{cache}{sql}"))?;
                }
                let measured = Measured { seconds: began.elapsed().as_secs_f64(), peak_kib: None };
                Ok(Done { measured, rows: written(url)? })
            }
            Self::Backfill { workers } => {
                let measured = measure(sti(url).arg(format!("--workers={workers}")).args(arguments), 1)?;
                Ok(Done { measured, rows: written(url)? })
            }
            Self::DryRun => {
                let measured = measure(sti(url).arg("--dry-run"), 1)?;
                if written(url)? != 0 {
                    return Err(Failure::new("the dry run wrote rows"));
                }
                Ok(Done { measured, rows: missing(url)? })
            }
            Self::RowByRow => row_by_row::run(url, projects),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw INSERT … SELECT"),
            Self::RawWithCache => f.write_str("raw, with the backfill's page cache"),
            Self::Backfill { workers } => write!(f, "sti backfill --workers {workers}"),
            Self::DryRun => f.write_str("sti backfill --dry-run"),
            Self::RowByRow => f.write_str("row by row through diesel"),
        }
    }
}

/// SQL: the page cache that `sti backfill` has on SQLite.
const CACHE: &str = "PRAGMA cache_size = -49152; ";

/// `sti backfill` of the release build, as a service in dual mode would run beside it.
fn sti(url: &str) -> Command {
    let mut command = Command::new(built("sti"));
    command.args(["backfill", "--database-url", url]).env("ENABLE_STI", "true");
    command
}

/// Rows of both subtype tables.
fn written(url: &str) -> Result<u64, Failure> {
    count(
        url,
        "SELECT (SELECT count(*) FROM projects_schoolproject) + (SELECT count(*) FROM projects_selfstudyproject) \
         AS count",
    )
}

/// Rows that [`RAW`] would write into empty tables.
fn missing(url: &str) -> Result<u64, Failure> {
    count(
        url,
        "SELECT count(*) AS count FROM projects_project WHERE project_type IN ('school', 'self_study') \
         AND NOT is_draft",
    )
}

fn count(url: &str, sql: &str) -> Result<u64, Failure> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let row: Row = match url.strip_prefix("sqlite:") {
        None => {
            sql_query(sql).get_result(&mut PgConnection::establish(url).map_err(Failure::during("connect"))?)
        }
        Some(path) => sql_query(sql)
            .get_result(&mut SqliteConnection::establish(path).map_err(Failure::during("open the file"))?),
    }
    .map_err(Failure::during("count the rows"))?;
    Ok(row.count.unsigned_abs())
}
