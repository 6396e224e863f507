//! What somebody tells a backfill from another terminal: wait, go on, give up. It is written into the database, so it
//! reaches every process on every machine, before its next chunk.

use std::time::Duration;

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{OptionalExtension as _, RunQueryDsl as _};

use super::error::BackfillError;
use super::ledger::{self, RunId};
use super::totals::Totals;
use crate::db::dialect::{self, Limits};
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::{DbTimestamp, Timestamp};
use crate::db::{AnyConnection, write_transaction};

/// What a run waits for at most is a lease that is being taken.
const LIMITS: Limits = Limits { lock: Duration::from_secs(5), statement: Duration::from_secs(30) };

/// A pause that holds.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct Pause {
    /// Who paused it.
    #[diesel(sql_type = Text, column_name = "by_whom")]
    pub by: String,
    /// Why.
    #[diesel(sql_type = Text)]
    pub reason: String,
    /// When, by the database's clock.
    #[diesel(sql_type = DbTimestamp, column_name = "at")]
    pub since: Timestamp,
}

/// What [`pause`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The pause that held already; it was left as it is.
    pub already: Option<Pause>,
    /// The run that is under way; without one, the pause is for the next.
    pub run: Option<RunId>,
}

/// A run that [`cancel`] gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// Which one.
    pub run: RunId,
    /// What its committed chunks did; all of it stays.
    pub totals: Totals,
}

/// Pauses the backfill of this database until [`resume`], whether a run is under way or begins later. Workers finish
/// their chunk and wait; they hold nothing meanwhile. A pause that holds already is left as it is.
///
/// # Errors
/// [`BackfillError::SchemaNotReady`], or what the database says; then nothing is changed.
pub fn pause(connection: &mut AnyConnection, reason: &str, by: &str) -> Result<Paused, BackfillError> {
    with_control(connection, |connection| {
        let already = paused(connection)?;
        let run = active(connection)?;
        if already.is_none() {
            note(connection, "pause", reason, by, run)?;
        }
        Ok(Paused { already, run })
    })
}

/// Ends a pause; the one that held, if there was one.
///
/// # Errors
/// As [`pause`].
pub fn resume(connection: &mut AnyConnection, by: &str) -> Result<Option<Pause>, BackfillError> {
    with_control(connection, |connection| {
        let held = paused(connection)?;
        if held.is_some() {
            let run = active(connection)?;
            note(connection, "resume", "", by, run)?;
        }
        Ok(held)
    })
}

/// Gives up the run that is under way: it becomes `abandoned`, its workers end after their chunk, and the next backfill
/// begins anew. What its chunks have committed stays. `None` when no run is under way.
///
/// # Errors
/// As [`pause`].
pub fn cancel(
    connection: &mut AnyConnection,
    reason: &str,
    by: &str,
) -> Result<Option<Cancelled>, BackfillError> {
    with_control(connection, |connection| {
        let Some(run) = active(connection)? else { return Ok(None) };
        let sql = format!(
            "UPDATE sti_backfill_run SET state = 'abandoned', finished_at = {}, stop_reason = $1 \
             WHERE id = $2 AND state = 'active'",
            dialect::backend(connection).now()
        );
        let updated = diesel::sql_query(sql)
            .bind::<Text, _>(format!("cancelled by {by}: {reason}"))
            .bind::<BigInt, _>(run.0)
            .execute(connection)
            .doing(format!("giving up run {run}"))?;
        if updated == 0 {
            return Ok(None);
        }
        note(connection, "cancel", reason, by, Some(run))?;
        Ok(Some(Cancelled { run, totals: ledger::totals(connection, run)? }))
    })
}

/// The pause that holds, if there is one. The tables of the ledger must be there.
///
/// # Errors
/// Whatever the database says.
pub fn paused(connection: &mut AnyConnection) -> Result<Option<Pause>, DbError> {
    diesel::sql_query(
        "SELECT reason, by_whom, at FROM (SELECT action, reason, by_whom, at FROM sti_backfill_control \
             WHERE action <> 'cancel' ORDER BY id DESC LIMIT 1) newest WHERE action = 'pause'",
    )
    .get_result(connection)
    .optional()
    .doing("reading whether the backfill is paused")
}

fn active(connection: &mut AnyConnection) -> Result<Option<RunId>, DbError> {
    let active: Option<ledger::Count> =
        diesel::sql_query("SELECT id AS count FROM sti_backfill_run WHERE state = 'active'")
            .get_result(connection)
            .optional()
            .doing("reading the ledger")?;
    Ok(active.map(|run| RunId(run.count)))
}

fn note(
    connection: &mut AnyConnection,
    action: &str,
    reason: &str,
    by: &str,
    run: Option<RunId>,
) -> Result<(), DbError> {
    let now = dialect::backend(connection).now();
    diesel::sql_query(format!(
        "INSERT INTO sti_backfill_control (action, reason, by_whom, run_id, at) VALUES ($1, $2, $3, $4, {now})"
    ))
    .bind::<Text, _>(action)
    .bind::<Text, _>(reason)
    .bind::<Text, _>(by)
    .bind::<Nullable<BigInt>, _>(run.map(|run| run.0))
    .execute(connection)
    .doing(format!("writing the {action}"))
    .map(|_| ())
}

/// Runs `work` in a transaction on a database that has the ledger.
fn with_control<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, BackfillError>,
) -> Result<T, BackfillError> {
    ledger::check_tables(connection, &["sti_backfill_run", "sti_backfill_chunk", "sti_backfill_control"])?;
    write_transaction(connection, |connection| {
        dialect::limit_transaction(connection, LIMITS).doing("limiting the transaction")?;
        work(connection)
    })
}
