//! The quarantine: projects whose subtype row the database refuses. The backfill goes on without them.

mod retried;
mod retry;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Text};

use super::ledger::{self, RunId};
use super::scope::Scope;
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::{DbTimestamp, DbUuid, Timestamp};
use crate::db::{AnyConnection, dialect, read_snapshot};
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId};

pub use retried::Retried;
pub use retry::retry;

/// A project whose row was refused just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub project: ProjectId,
    pub kind: Kind,
    pub class: String,
    pub message: String,
}

/// A project in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The newest run that met it.
    pub run: RunId,
    /// The project.
    pub project: ProjectId,
    /// Whose row it was to be: `school` or `self_study`.
    pub kind: String,
    /// What kind of rule it broke, by PostgreSQL's name for it: `check_violation`, `unique_violation`,
    /// `not_null_violation`, `foreign_key_violation`, `exclusion_violation`, or `data_exception` for the rest.
    pub class: String,
    /// What the database said. The detail that PostgreSQL adds, which quotes the row, is left out; a value is in here
    /// only if the database's message itself holds it.
    pub message: String,
    /// When it was tried last, by the database's clock.
    pub at: Timestamp,
}

/// What is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// How many projects there are for each class, the largest class first. Each project is counted once, in the class of
    /// the newest run that met it.
    pub classes: Vec<(String, i64)>,
    /// The first of them, by run and project, each once.
    pub projects: Vec<Quarantined>,
}

impl Quarantine {
    /// How many projects are in quarantine.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.classes.iter().map(|(_, count)| count).sum()
    }
}

#[derive(diesel::QueryableByName)]
struct Class {
    #[diesel(sql_type = Text)]
    class: String,
    #[diesel(sql_type = BigInt)]
    projects: i64,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    run_id: i64,
    #[diesel(sql_type = DbUuid)]
    project_id: ProjectId,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    class: String,
    #[diesel(sql_type = Text)]
    message: String,
    #[diesel(sql_type = DbTimestamp)]
    at: Timestamp,
}

/// SQL: true for the newest entry of each project. Runs that met the same project have an entry each, until one of them
/// is complete.
pub(crate) const NEWEST_ENTRY: &str = "(run_id, project_id) IN (SELECT max(run_id), project_id FROM sti_backfill_quarantine GROUP BY project_id)";

/// Reads the quarantine: how many of each class, and the first `most` projects. Locks nothing.
///
/// # Errors
/// Whatever the database says; the ledger's tables must be there.
pub fn quarantine(connection: &mut AnyConnection, most: u32) -> Result<Quarantine, DbError> {
    read_snapshot(connection, |connection| {
        let classes: Vec<Class> = diesel::sql_query(format!(
            "SELECT class, count(*) AS projects FROM sti_backfill_quarantine WHERE {NEWEST_ENTRY} \
             GROUP BY class ORDER BY 2 DESC, 1"
        ))
        .load(connection)
        .doing("counting the quarantine")?;
        let rows: Vec<Row> = diesel::sql_query(format!(
            "SELECT run_id, project_id, kind, class, message, at FROM sti_backfill_quarantine WHERE {NEWEST_ENTRY} \
             ORDER BY run_id, project_id LIMIT $1"
        ))
        .bind::<BigInt, _>(i64::from(most))
        .load(connection)
        .doing("reading the quarantine")?;
        let project = |row: Row| Quarantined {
            run: RunId(row.run_id),
            project: row.project_id,
            kind: row.kind,
            class: row.class,
            message: row.message,
            at: row.at,
        };
        Ok(Quarantine {
            classes: classes.into_iter().map(|class| (class.class, class.projects)).collect(),
            projects: rows.into_iter().map(project).collect(),
        })
    })
}

/// Enters projects, in the transaction of their chunk.
pub(super) fn enter(
    connection: &mut AnyConnection,
    run: RunId,
    chunk: i64,
    refused: &[Refused],
) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO sti_backfill_quarantine (run_id, project_id, chunk_id, kind, class, message, at) \
         VALUES ($1, $2, $3, $4, $5, $6, {}) ON CONFLICT (run_id, project_id) DO UPDATE SET \
            chunk_id = EXCLUDED.chunk_id, kind = EXCLUDED.kind, class = EXCLUDED.class, \
            message = EXCLUDED.message, at = EXCLUDED.at",
        dialect::backend(connection).now()
    );
    for refused in refused {
        diesel::sql_query(&sql)
            .bind::<BigInt, _>(run.0)
            .bind::<DbUuid, _>(refused.project)
            .bind::<BigInt, _>(chunk)
            .bind::<Text, _>(refused.kind.as_str())
            .bind::<Text, _>(&refused.class)
            .bind::<Text, _>(&refused.message)
            .execute(connection)
            .doing(format!("putting project {} into quarantine", refused.project))?;
    }
    Ok(())
}

/// What a committed chunk has put into quarantine, as far as it is there still.
pub(super) fn of_chunk(connection: &mut AnyConnection, chunk: i64) -> Result<Vec<Refused>, DbError> {
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT run_id, project_id, kind, class, message, at FROM sti_backfill_quarantine \
         WHERE chunk_id = $1 ORDER BY project_id",
    )
    .bind::<BigInt, _>(chunk)
    .load(connection)
    .doing("reading what a committed chunk put into quarantine")?;
    let refused = |row: Row| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == row.kind)?;
        Some(Refused { project: row.project_id, kind, class: row.class, message: row.message })
    };
    Ok(rows.into_iter().filter_map(refused).collect())
}

/// SQL: true for a project `p` that this run has put into quarantine.
pub(super) fn is_quarantined_sql(run: RunId) -> String {
    format!("EXISTS (SELECT 1 FROM sti_backfill_quarantine q WHERE q.run_id = {run} AND q.project_id = p.id)")
}

/// Takes out what other runs had put in, of the projects in scope: a run that is complete has looked at all of these.
pub(super) fn forget_other_runs(
    connection: &mut AnyConnection,
    run: RunId,
    scope: Scope,
) -> Result<(), DbError> {
    let in_scope = scope.condition_sql();
    diesel::sql_query(format!(
        "DELETE FROM sti_backfill_quarantine WHERE run_id <> $1 AND NOT EXISTS \
            (SELECT 1 FROM {PARENT} p WHERE p.id = sti_backfill_quarantine.project_id AND NOT ({in_scope}))"
    ))
    .bind::<BigInt, _>(run.0)
    .execute(connection)
    .doing("clearing the quarantine of earlier runs")
    .map(drop)
}

/// The scope of a run.
fn scope_of(connection: &mut AnyConnection, run: RunId) -> Result<Scope, DbError> {
    Ok(Scope::of(ledger::lock_run(connection, run)?.include_drafts))
}
