//! One chunk: its rows, its counts and its state in the ledger, in one transaction.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Text};

use super::config::BackfillConfig;
use super::error::BackfillError;
use super::lease::Lease;
use super::terms::Terms;
use super::totals::Totals;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Failed, dialect, limited_transaction};
use crate::probe::Step;
use crate::subtype_rows::fill::{self, Outcome};

/// Works on the chunk of `lease` and commits it.
///
/// # Errors
/// In each case but a connection lost at COMMIT nothing of the chunk is written.
pub(super) fn run(
    connection: &mut AnyConnection,
    lease: &Lease,
    terms: Terms,
    config: &BackfillConfig,
) -> Result<(Totals, Duration), Failed<BackfillError>> {
    let begun = Instant::now();
    let totals = limited_transaction(connection, terms.limits, |connection| {
        hold(connection, lease)?;
        let condition = config.scope.sweep_condition_sql(lease.sweep, dialect::backend(connection));
        let outcome = fill::fill(connection, &lease.range, &condition, &config.probe)?;
        if !outcome.adds_up() {
            return Err(BackfillError::DoesNotAddUp { number: lease.number, locked: outcome.locked });
        }
        config.probe.at(Step::Record);
        record(connection, lease, &outcome, begun)?;
        config.probe.at(Step::Commit);
        Ok(Totals::from(outcome))
    })?;
    Ok((totals, begun.elapsed()))
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

fn record(
    connection: &mut AnyConnection,
    lease: &Lease,
    outcome: &Outcome,
    begun: Instant,
) -> Result<(), BackfillError> {
    let now = dialect::backend(connection).now();
    let updated = diesel::sql_query(format!(
        "UPDATE sti_backfill_chunk SET state = 'done', finished_at = {now}, duration_ms = $1, locked = $2, \
            created_school = $3, created_self_study = $4, equal_school = $5, equal_self_study = $6, \
            conflict_school = $7, conflict_self_study = $8, unknown = $9 \
         WHERE id = $10 AND token = $11 AND state = 'leased'"
    ))
    .bind::<BigInt, _>(i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(outcome.locked)
    .bind::<BigInt, _>(outcome.created_school)
    .bind::<BigInt, _>(outcome.created_self_study)
    .bind::<BigInt, _>(outcome.equal_school)
    .bind::<BigInt, _>(outcome.equal_self_study)
    .bind::<BigInt, _>(outcome.conflict_school)
    .bind::<BigInt, _>(outcome.conflict_self_study)
    .bind::<BigInt, _>(outcome.unknown)
    .bind::<BigInt, _>(lease.chunk)
    .bind::<Text, _>(&lease.token)
    .execute(connection)
    .doing(format!("recording chunk {}", lease.number))?;
    if updated == 1 { Ok(()) } else { Err(BackfillError::LeaseLost { number: lease.number }) }
}
