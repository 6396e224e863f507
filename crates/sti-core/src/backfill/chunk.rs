//! One chunk: its rows, its counts and its state in the ledger, in one transaction.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Text};

use super::careful::{self, Filled};
use super::config::BackfillConfig;
use super::error::BackfillError;
use super::lease::Lease;
use super::ledger::RunId;
use super::quarantine::{self, Refused};
use super::terms::Terms;
use super::totals::Totals;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Failed, dialect, limited_transaction};
use crate::probe::Step;
use crate::refilling;
use crate::subtype_rows::fill;

/// How the rows of a chunk are made.
#[derive(Debug)]
pub(super) enum Manner {
    /// In one statement.
    Whole,
    /// In parts, so that those which the database refuses are found.
    Careful,
    /// Not at all: they were refused at COMMIT, for this reason.
    Refuse(diesel::result::Error),
}

/// What a committed chunk did.
#[derive(Debug)]
pub(super) struct Done {
    pub totals: Totals,
    pub refused: Vec<Refused>,
    /// From behind BEGIN to the answer of COMMIT.
    pub duration: Duration,
}

/// Works on the chunk of `lease` and commits it.
///
/// # Errors
/// In each case but a connection lost at COMMIT nothing of the chunk is written.
pub(super) fn run(
    connection: &mut AnyConnection,
    run: RunId,
    lease: &Lease,
    terms: Terms,
    config: &BackfillConfig,
    manner: &Manner,
) -> Result<Done, Failed<BackfillError>> {
    let mut begun = Instant::now();
    let filled = limited_transaction(connection, terms.limits, terms.reading, |connection| {
        // On SQLite it may have waited for another writer until here, and that is no work.
        begun = Instant::now();
        hold(connection, lease)?;
        let condition = config.scope.sweep_condition_sql(run, lease.sweep, dialect::backend(connection));
        let filled = match manner {
            Manner::Whole => {
                let outcome = fill::fill(connection, &lease.range, &condition, &config.probe);
                Filled { outcome: outcome.map_err(BackfillError::Fill)?, refused: Vec::new() }
            }
            Manner::Careful => careful::fill(connection, &lease.range, &condition, &config.probe)?,
            Manner::Refuse(reason) => careful::refuse_all(connection, &lease.range, &condition, reason)?,
        };
        if !filled.outcome.adds_up() {
            return Err(BackfillError::DoesNotAddUp { number: lease.number, locked: filled.outcome.locked });
        }
        refuse_refilling(connection, terms)?;
        config.probe.at(Step::Record);
        quarantine::enter(connection, run, lease.chunk, &filled.refused)?;
        let entry = Entry { chunk: lease.chunk, number: lease.number, token: &lease.token };
        record(connection, entry, &Totals::from(&filled), begun.elapsed())?;
        config.probe.at(Step::Commit);
        Ok(filled)
    })?;
    Ok(Done { totals: Totals::from(&filled), refused: filled.refused, duration: begun.elapsed() })
}

/// Refuses where the columns that were copied from are back from a drop and not filled yet. Asked behind the copy, whose
/// locks keep the columns as they are until it commits.
pub(super) fn refuse_refilling(connection: &mut AnyConnection, terms: Terms) -> Result<(), BackfillError> {
    if terms.knows_drops && refilling::is_recorded(connection)? {
        Err(BackfillError::Refilling)
    } else {
        Ok(())
    }
}

/// Locks the chunk's row in the ledger, if the lease is still ours: nobody can take it over until we are done.
fn hold(connection: &mut AnyConnection, lease: &Lease) -> Result<(), BackfillError> {
    #[derive(diesel::QueryableByName)]
    struct Held {
        #[diesel(sql_type = BigInt)]
        #[expect(dead_code, reason = "that there is a row is the answer")]
        id: i64,
    }
    let lock = dialect::backend(connection).lock_rows();
    let held: Vec<Held> = diesel::sql_query(format!(
        "SELECT id FROM sti_backfill_chunk WHERE id = $1 AND token = $2 AND state = 'leased' {lock}"
    ))
    .bind::<BigInt, _>(lease.chunk)
    .bind::<Text, _>(&lease.token)
    .load(connection)
    .doing(format!("holding the lease of chunk {}", lease.number))?;
    if held.is_empty() { Err(BackfillError::LeaseLost { number: lease.number }) } else { Ok(()) }
}

/// A leased chunk in the ledger, by what it takes to turn it to `done`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub chunk: i64,
    pub number: i32,
    pub token: &'a str,
}

/// Writes what a chunk did, and turns it to `done` if the token is still ours.
pub(super) fn record(
    connection: &mut AnyConnection,
    entry: Entry<'_>,
    totals: &Totals,
    duration: Duration,
) -> Result<(), BackfillError> {
    let now = dialect::backend(connection).now();
    let updated = diesel::sql_query(format!(
        "UPDATE sti_backfill_chunk SET state = 'done', finished_at = {now}, duration_ms = $1, locked = $2, \
            created_school = $3, created_self_study = $4, equal_school = $5, equal_self_study = $6, \
            conflict_school = $7, conflict_self_study = $8, unknown = $9, error_school = $10, \
            error_self_study = $11 \
         WHERE id = $12 AND token = $13 AND state = 'leased'"
    ))
    .bind::<BigInt, _>(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(totals.locked)
    .bind::<BigInt, _>(totals.created.school)
    .bind::<BigInt, _>(totals.created.self_study)
    .bind::<BigInt, _>(totals.equal.school)
    .bind::<BigInt, _>(totals.equal.self_study)
    .bind::<BigInt, _>(totals.conflict.school)
    .bind::<BigInt, _>(totals.conflict.self_study)
    .bind::<BigInt, _>(totals.unknown)
    .bind::<BigInt, _>(totals.error.school)
    .bind::<BigInt, _>(totals.error.self_study)
    .bind::<BigInt, _>(entry.chunk)
    .bind::<Text, _>(entry.token)
    .execute(connection)
    .doing(format!("recording chunk {}", entry.number))?;
    if updated == 1 { Ok(()) } else { Err(BackfillError::LeaseLost { number: entry.number }) }
}
