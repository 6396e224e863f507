//! The newest runs in the ledger, for those who only look.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};

use super::config::Owner;
use super::error::BackfillError;
use super::ledger::{self, RunId};
use super::scope::Scope;
use super::totals::Totals;
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::{DbTimestamp, Timestamp};
use crate::db::{AnyConnection, read_snapshot};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Being worked on, or stopped and to be resumed.
    Active,
    /// Came to its end.
    Done,
    /// Given up by `--restart`.
    Abandoned,
    /// Stopped for good; the reason is recorded.
    Failed,
}

/// A run, as the ledger has it.
#[derive(Clone, Debug)]
pub struct LastRun {
    /// Its id in the ledger.
    pub run: RunId,
    /// How it stands.
    pub state: RunState,
    /// Which projects it is about.
    pub scope: Scope,
    /// The sweep that is under way, or was the last; from 1.
    pub sweep: i32,
    /// Projects in scope when it began.
    pub eligible: i64,
    /// When it began, by the database's clock.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why it did not end well.
    pub stop_reason: Option<String>,
    /// Who began it.
    pub started_by: String,
    /// What its committed chunks did.
    pub totals: Totals,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Bool)]
    include_drafts: bool,
    #[diesel(sql_type = Integer)]
    sweep: i32,
    #[diesel(sql_type = BigInt)]
    eligible: i64,
    #[diesel(sql_type = DbTimestamp)]
    started_at: Timestamp,
    #[diesel(sql_type = Nullable<DbTimestamp>)]
    finished_at: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Text>)]
    stop_reason: Option<String>,
    #[diesel(sql_type = Text)]
    started_by: String,
}

const RUNS: &str = "SELECT id, state, include_drafts, sweep, eligible, started_at, finished_at, stop_reason, started_by \
                    FROM sti_backfill_run ORDER BY id DESC LIMIT $1";

/// Reads the newest run; `None` when there was none. The ledger's tables must be there.
///
/// # Errors
/// Whatever the database says.
pub fn last_run(connection: &mut AnyConnection) -> Result<Option<LastRun>, DbError> {
    let Some(mut run) = newest(connection)? else { return Ok(None) };
    run.totals = ledger::totals(connection, run.run)?;
    Ok(Some(run))
}

/// Reads the newest `limit` runs, the newest first, in one snapshot.
///
/// # Errors
/// [`BackfillError::SchemaNotReady`] without our tables, or what the database says.
pub fn runs(connection: &mut AnyConnection, limit: u32) -> Result<Vec<LastRun>, BackfillError> {
    read_snapshot(connection, |connection| {
        ledger::check_tables(connection, &["sti_backfill_run", "sti_backfill_chunk"])?;
        let mut runs = read(connection, limit)?;
        for run in &mut runs {
            run.totals = ledger::totals(connection, run.run)?;
        }
        Ok(runs)
    })
}

/// The newest run, without its totals.
pub(super) fn newest(connection: &mut AnyConnection) -> Result<Option<LastRun>, DbError> {
    Ok(read(connection, 1)?.pop())
}

fn read(connection: &mut AnyConnection, limit: u32) -> Result<Vec<LastRun>, DbError> {
    let rows: Vec<Row> = diesel::sql_query(RUNS)
        .bind::<BigInt, _>(i64::from(limit))
        .load(connection)
        .doing("reading the newest runs in the ledger")?;
    Ok(rows.into_iter().map(LastRun::from).collect())
}

/// Without totals, which are sums over its chunks.
impl From<Row> for LastRun {
    fn from(row: Row) -> Self {
        // The table's own constraint knows these four.
        let state = match row.state.as_str() {
            "active" => RunState::Active,
            "done" => RunState::Done,
            "abandoned" => RunState::Abandoned,
            _ => RunState::Failed,
        };
        Self {
            run: RunId(row.id),
            state,
            scope: Scope::of(row.include_drafts),
            sweep: row.sweep,
            eligible: row.eligible,
            started_at: row.started_at,
            finished_at: row.finished_at,
            stop_reason: row.stop_reason,
            started_by: row.started_by,
            totals: Totals::default(),
        }
    }
}

/// The newest run, and what its chunks did that other processes than `owner` have committed; `None` when there was no
/// run. The ledger's tables must be there.
///
/// # Errors
/// Whatever the database says.
pub fn done_by_others(
    connection: &mut AnyConnection,
    owner: &Owner,
) -> Result<Option<(RunId, Totals)>, DbError> {
    let Some(LastRun { run, .. }) = newest(connection)? else { return Ok(None) };
    let of_others = format!("run_id = $1 AND owner <> '{}'", owner.to_string().replace('\'', "''"));
    let totals = ledger::totals_between(connection, run, &of_others, (0, i64::MAX))?;
    Ok(Some((run, totals)))
}

/// When the oldest lease of a run that is held was taken, by the database's clock; `None` when none is held.
///
/// # Errors
/// Whatever the database says.
pub fn oldest_lease(connection: &mut AnyConnection, run: RunId) -> Result<Option<Timestamp>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<DbTimestamp>)]
        at: Option<Timestamp>,
    }
    let row: Row = diesel::sql_query(
        "SELECT min(leased_at) AS at FROM sti_backfill_chunk WHERE run_id = $1 AND state = 'leased'",
    )
    .bind::<BigInt, _>(run.0)
    .get_result(connection)
    .doing("reading the leases of a run")?;
    Ok(row.at)
}
