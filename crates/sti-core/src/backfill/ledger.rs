//! The ledger of runs: begin, take up again, move to the next sweep, finish; and the totals, which are sums over
//! the chunks that committed.

use std::time::Duration;

use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
use diesel::{OptionalExtension as _, QueryableByName, RunQueryDsl as _};

use super::config::BackfillConfig;
use super::dry_run::check_schema;
use super::error::BackfillError;
use super::quarantine;
use super::scope::Scope;
use super::totals::Totals;
use crate::db::dialect::{Limits, Reading};
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::DbUuid;
use crate::db::{
    AnyConnection, Failed, catalog, count_snapshot, dialect, lease_transaction, limited_transaction,
    read_snapshot,
};
use crate::mapping::{self, PARENT};
use crate::models::{PerKind, ProjectId};
use crate::subtype_rows::fill::Outcome;

/// The id of a run in `sti_backfill_run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A run as it stands in the ledger.
#[derive(Clone, Debug, QueryableByName)]
pub(super) struct Run {
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    #[diesel(sql_type = Text)]
    pub state: String,
    #[diesel(sql_type = Bool)]
    pub include_drafts: bool,
    #[diesel(sql_type = Integer)]
    pub mapping_version: i32,
    #[diesel(sql_type = Integer)]
    pub sweep: i32,
    #[diesel(sql_type = Nullable<DbUuid>)]
    pub leased_through: Option<ProjectId>,
    #[diesel(sql_type = BigInt)]
    pub eligible: i64,
    #[diesel(sql_type = Nullable<Text>)]
    pub stop_reason: Option<String>,
}

const RUN: &str = "SELECT id, state, include_drafts, mapping_version, sweep, leased_through, eligible, stop_reason \
                   FROM sti_backfill_run";

/// A run that a process has begun or taken up.
pub(super) struct Begun {
    pub run: RunId,
    pub resumed: bool,
    pub eligible: i64,
}

/// Refuses a database that lacks one of these tables of ours.
pub(super) fn check_tables(connection: &mut AnyConnection, tables: &[&str]) -> Result<(), BackfillError> {
    for table in tables {
        if catalog::columns(connection, table)?.is_empty() {
            return Err(BackfillError::SchemaNotReady { what: format!("table {table}") });
        }
    }
    Ok(())
}

/// How long the ledger's own statements may wait for one lock; and run: the end of a run clears the quarantine of earlier
/// ones, which may be large.
const LIMITS: Limits = Limits { lock: Duration::from_secs(1), statement: Duration::from_secs(6 * 3600) };

/// How often a run is begun or taken up: another process may end its own between the two.
const ATTEMPTS: u32 = 5;

/// Takes up the active run, or begins one. Locks the active run's row; a new run keeps the parent's columns as they are
/// (ACCESS SHARE) for the moment in which it begins.
pub(super) fn begin(connection: &mut AnyConnection, config: &BackfillConfig) -> Result<Begun, BackfillError> {
    if let Some(begun) = resume(connection, config)? {
        return Ok(begun);
    }
    // Counted outside of the transaction that begins the run: on a large table this takes its time.
    let in_scope = format!("SELECT count(*) AS count FROM {PARENT} p WHERE {}", config.scope.condition_sql());
    let eligible = count_snapshot(connection, |c| count(c, &in_scope, "counting the projects in scope"))?;
    for _ in 0..ATTEMPTS {
        if let Some(begun) = begin_new(connection, config, eligible)? {
            return Ok(begun);
        }
    }
    let source = diesel::result::Error::NotFound;
    Err(DbError { doing: "beginning a run, which others began and ended meanwhile".to_owned(), source }
        .into())
}

/// Begins a run, or takes up one that another process has begun in this very moment; `None` if that has ended, too.
fn begin_new(
    connection: &mut AnyConnection,
    config: &BackfillConfig,
    eligible: i64,
) -> Result<Option<Begun>, BackfillError> {
    ledger_transaction(connection, |connection| {
        // A drop comes wholly before this, and is seen, or waits, and then sees the run at its gate.
        dialect::keep_columns(connection, PARENT).doing("keeping the columns of projects_project")?;
        check_schema(connection)?;
        if config.restart {
            diesel::sql_query(format!(
                "UPDATE sti_backfill_run SET state = 'abandoned', finished_at = {}, stop_reason = $1 \
                 WHERE state = 'active'",
                dialect::backend(connection).now()
            ))
            .bind::<Text, _>(format!("given up by --restart of {}", config.owner))
            .execute(connection)
            .doing("giving up the run that was under way")?;
        }
        let inserted: Vec<Count> = diesel::sql_query(format!(
            "INSERT INTO sti_backfill_run \
                (state, include_drafts, mapping_version, eligible, started_at, tool_version, started_by) \
             SELECT 'active', $1, $2, $3, {}, $4, $5 WHERE NOT EXISTS \
                (SELECT 1 FROM sti_backfill_run WHERE state = 'active') \
             ON CONFLICT DO NOTHING RETURNING id AS count",
            dialect::backend(connection).now()
        ))
        .bind::<Bool, _>(config.scope.includes_drafts())
        .bind::<Integer, _>(mapping::VERSION)
        .bind::<BigInt, _>(eligible)
        .bind::<Text, _>(&config.tool_version)
        .bind::<Text, _>(config.owner.to_string())
        .load(connection)
        .doing("beginning a run")?;
        match inserted.first() {
            Some(Count { count: id }) => Ok(Some(Begun { run: RunId(*id), resumed: false, eligible })),
            None => take_up(connection, config),
        }
    })
}

fn resume(connection: &mut AnyConnection, config: &BackfillConfig) -> Result<Option<Begun>, BackfillError> {
    if config.restart {
        return Ok(None);
    }
    ledger_transaction(connection, |connection| take_up(connection, config))
}

/// A write transaction of the ledger's own, with limits of its own: whatever the role has for its statements, and however
/// long somebody keeps a table to himself.
pub(super) fn ledger_transaction<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, BackfillError>,
) -> Result<T, BackfillError> {
    limited_transaction(connection, LIMITS, Reading::ByIndex, work).map_err(Failed::flatten)
}

fn take_up(connection: &mut AnyConnection, config: &BackfillConfig) -> Result<Option<Begun>, BackfillError> {
    let active: Option<Run> = diesel::sql_query(format!("{RUN} WHERE state = 'active'"))
        .get_result(connection)
        .optional()
        .doing("reading the ledger")?;
    let Some(active) = active else { return Ok(None) };
    let run = RunId(active.id);
    let under_way = (Scope::of(active.include_drafts), active.mapping_version);
    let asked = (config.scope, mapping::VERSION);
    if under_way != asked {
        return Err(BackfillError::CannotResume {
            run,
            under_way: BackfillError::scope_text(under_way.0, under_way.1),
            asked: BackfillError::scope_text(asked.0, asked.1),
        });
    }
    if active.stop_reason.is_some() {
        diesel::sql_query(
            "UPDATE sti_backfill_run SET stop_reason = NULL WHERE id = $1 AND state = 'active'",
        )
        .bind::<BigInt, _>(run.0)
        .execute(connection)
        .doing(format!("taking up run {run}"))?;
    }
    Ok(Some(Begun { run, resumed: true, eligible: active.eligible }))
}

/// Reads and locks a run's row: whoever holds it decides alone what comes next in the run.
pub(super) fn lock_run(connection: &mut AnyConnection, run: RunId) -> Result<Run, DbError> {
    let lock = dialect::backend(connection).lock_rows();
    diesel::sql_query(format!("{RUN} WHERE id = $1 {lock}"))
        .bind::<BigInt, _>(run.0)
        .get_result(connection)
        .doing(format!("locking run {run} in the ledger"))
}

/// What the ledger says of a run at one moment.
pub(super) struct Standing {
    pub state: String,
    pub totals: Totals,
    /// Why it ended, where it did not end well.
    pub stop_reason: Option<String>,
}

/// How a run stands, or ended. Reads one snapshot.
pub(super) fn standing(connection: &mut AnyConnection, run: RunId) -> Result<Standing, DbError> {
    read_snapshot(connection, |connection| {
        let Run { state, stop_reason, .. } = diesel::sql_query(format!("{RUN} WHERE id = $1"))
            .bind::<BigInt, _>(run.0)
            .get_result(connection)
            .doing(format!("reading how run {run} ended"))?;
        Ok(Standing { state, totals: totals(connection, run)?, stop_reason })
    })
}

/// The totals of a run: sums over its committed chunks, whoever did them.
pub(super) fn totals(connection: &mut AnyConnection, run: RunId) -> Result<Totals, DbError> {
    sum(connection, "run_id = $1", run.0, format!("adding up run {run}"))
}

/// The totals of the chunks of a run with ids after the first and through the second bound; `of_run` is a condition for
/// the run `$1`.
pub(super) fn totals_between(
    connection: &mut AnyConnection,
    run: RunId,
    of_run: &str,
    (after, through): (i64, i64),
) -> Result<Totals, DbError> {
    let which = format!("{of_run} AND id > {after} AND id <= {through}");
    sum(connection, &which, run.0, format!("adding up run {run}"))
}

/// What one committed chunk did.
pub(super) fn chunk_totals(connection: &mut AnyConnection, chunk: i64) -> Result<Totals, DbError> {
    sum(connection, "id = $1", chunk, "reading a committed chunk".to_owned())
}

fn sum(connection: &mut AnyConnection, which: &str, id: i64, doing: String) -> Result<Totals, DbError> {
    #[derive(QueryableByName)]
    struct Sums {
        #[diesel(embed)]
        outcome: Outcome,
        #[diesel(sql_type = BigInt)]
        error_school: i64,
        #[diesel(sql_type = BigInt)]
        error_self_study: i64,
    }
    const COUNTS: [&str; 10] = [
        "locked",
        "created_school",
        "created_self_study",
        "equal_school",
        "equal_self_study",
        "conflict_school",
        "conflict_self_study",
        "unknown",
        "error_school",
        "error_self_study",
    ];
    let sums = COUNTS.map(|count| format!("CAST(COALESCE(sum({count}), 0) AS bigint) AS {count}")).join(", ");
    let sums: Sums =
        diesel::sql_query(format!("SELECT {sums} FROM sti_backfill_chunk WHERE {which} AND state = 'done'"))
            .bind::<BigInt, _>(id)
            .get_result(connection)
            .doing(doing)?;
    let error = PerKind { school: sums.error_school, self_study: sums.error_self_study };
    // `locked` in the ledger has the errors in it already.
    Ok(Totals { error, ..Totals::from(sums.outcome) })
}

/// In-scope projects of a known kind that lack their row, right now, and are not in this run's quarantine.
pub(super) fn missing(connection: &mut AnyConnection, run: RunId, scope: Scope) -> Result<i64, DbError> {
    let sql = format!("SELECT {} AS count", scope.count_missing_sql(run, dialect::backend(connection)));
    count_snapshot(connection, |c| count(c, &sql, "counting the projects that lack their row"))
}

/// Writes down why a run was stopped that is still to be resumed.
pub(super) fn note_stop(connection: &mut AnyConnection, run: RunId, reason: &str) -> Result<(), DbError> {
    lease_transaction(connection, |connection| {
        diesel::sql_query("UPDATE sti_backfill_run SET stop_reason = $1 WHERE id = $2 AND state = 'active'")
            .bind::<Text, _>(reason)
            .bind::<BigInt, _>(run.0)
            .execute(connection)
            .doing(format!("writing down why run {run} was stopped"))
            .map(drop)
    })
}

/// Somebody goes on with a run: that another process has stopped is no news any more.
pub(super) fn goes_on(connection: &mut AnyConnection, run: RunId) -> Result<(), DbError> {
    diesel::sql_query(
        "UPDATE sti_backfill_run SET stop_reason = NULL WHERE id = $1 AND stop_reason IS NOT NULL",
    )
    .bind::<BigInt, _>(run.0)
    .execute(connection)
    .doing(format!("going on with run {run}"))
    .map(drop)
}

/// Moves a run to its next sweep, from the beginning of the keys.
pub(super) fn next_sweep(connection: &mut AnyConnection, run: RunId) -> Result<(), DbError> {
    diesel::sql_query("UPDATE sti_backfill_run SET sweep = sweep + 1, leased_through = NULL WHERE id = $1")
        .bind::<BigInt, _>(run.0)
        .execute(connection)
        .doing(format!("beginning the next sweep of run {run}"))
        .map(|_| ())
}

/// Ends a run, with a reason when it did not end well.
pub(super) fn finish(
    connection: &mut AnyConnection,
    run: RunId,
    scope: Scope,
    failure: Option<&str>,
) -> Result<(), DbError> {
    if failure.is_none() {
        quarantine::forget_other_runs(connection, run, scope)?;
    }
    let now = dialect::backend(connection).now();
    diesel::sql_query(format!(
        "UPDATE sti_backfill_run SET state = $1, stop_reason = $2, finished_at = {now} WHERE id = $3"
    ))
    .bind::<Text, _>(if failure.is_some() { "failed" } else { "done" })
    .bind::<Nullable<Text>, _>(failure)
    .bind::<BigInt, _>(run.0)
    .execute(connection)
    .doing(format!("finishing run {run}"))
    .map(|_| ())
}

#[derive(QueryableByName)]
pub(super) struct Count {
    #[diesel(sql_type = BigInt)]
    pub count: i64,
}

pub(super) fn count(connection: &mut AnyConnection, sql: &str, doing: &str) -> Result<i64, DbError> {
    let Count { count } = diesel::sql_query(sql).get_result(connection).doing(doing)?;
    Ok(count)
}
