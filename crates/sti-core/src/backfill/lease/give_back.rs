//! Gives a lease back, or half of it: to be taken up by whoever comes first.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use uuid::Uuid;

use super::Lease;
use crate::backfill::error::BackfillError;
use crate::backfill::ledger::{self, RunId};
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, dialect, lease_transaction};
use crate::keyset::{KeyRange, Keyset};
use crate::mapping::PARENT;

/// Makes two chunks of the one of `lease`, so that neither a key is lost nor one is in both: the first half, with a new
/// token, is what the answer is for; the second half is free. `None` when there are no more than `enough` projects in
/// it that fulfil `condition`.
///
/// Locks the run's row, for the new chunk's number.
pub(in crate::backfill) fn halve(
    connection: &mut AnyConnection,
    run: RunId,
    lease: &Lease,
    condition: &str,
    enough: i64,
) -> Result<Option<Lease>, BackfillError> {
    ledger::ledger_transaction(connection, |connection| {
        let keys = lease.range.contains_sql();
        let projects = ledger::count(
            connection,
            &format!("SELECT count(*) AS count FROM {PARENT} p WHERE {keys} AND {condition}"),
            "counting the projects of a chunk",
        )?;
        if projects <= enough.max(1) {
            return Ok(None);
        }
        let half = u32::try_from(projects / 2).unwrap_or(u32::MAX);
        let walk = Keyset::after(lease.range.after);
        let Some((first, _)) = walk.next_range(connection, condition, half)? else { return Ok(None) };
        if first.through >= lease.range.through {
            return Ok(None);
        }
        // What may wait for somebody else is behind us.
        ledger::lock_run(connection, run)?;
        let token = Uuid::new_v4().to_string();
        let updated = diesel::sql_query(
            "UPDATE sti_backfill_chunk SET through_id = $1, token = $2 \
             WHERE id = $3 AND token = $4 AND state = 'leased'",
        )
        .bind::<DbUuid, _>(first.through)
        .bind::<Text, _>(&token)
        .bind::<BigInt, _>(lease.chunk)
        .bind::<Text, _>(&lease.token)
        .execute(connection)
        .doing(format!("halving chunk {}", lease.number))?;
        if updated == 0 {
            return Err(BackfillError::LeaseLost { number: lease.number });
        }
        let second = KeyRange { after: Some(first.through), through: lease.range.through };
        insert_free(connection, run, lease.sweep, second)?;
        // In a catch-up sweep the projects are not all keys, and say nothing about what a range costs.
        let keys = lease.keys.filter(|_| lease.sweep <= 1 || condition == "TRUE").map(|_| half);
        Ok(Some(Lease { range: first, keys, token, taken_from: None, ..lease.clone() }))
    })
}

fn insert_free(
    connection: &mut AnyConnection,
    run: RunId,
    sweep: i32,
    range: KeyRange,
) -> Result<(), DbError> {
    let now = dialect::backend(connection).now();
    diesel::sql_query(format!(
        "INSERT INTO sti_backfill_chunk \
            (run_id, sweep, number, after_id, through_id, state, token, owner, lease_expires_at, attempts) \
         SELECT $1, $2, max(number) + 1, $3, $4, 'leased', '', '', {now}, 0 \
         FROM sti_backfill_chunk WHERE run_id = $1 AND sweep = $2"
    ))
    .bind::<BigInt, _>(run.0)
    .bind::<Integer, _>(sweep)
    .bind::<Nullable<DbUuid>, _>(range.after)
    .bind::<DbUuid, _>(range.through)
    .execute(connection)
    .doing("entering the second half of a chunk")
    .map(drop)
}

/// Puts a chunk off: it is free, and comes after everything else that there is to do in its sweep.
pub(in crate::backfill) fn postpone(connection: &mut AnyConnection, lease: &Lease) -> Result<(), DbError> {
    free(connection, lease, "postponed = postponed + 1, ")
}

/// Gives a lease back, so that nobody has to wait until it has run out.
pub(in crate::backfill) fn release(connection: &mut AnyConnection, lease: &Lease) -> Result<(), DbError> {
    free(connection, lease, "")
}

fn free(connection: &mut AnyConnection, lease: &Lease, besides: &str) -> Result<(), DbError> {
    lease_transaction(connection, |connection| {
        let now = dialect::backend(connection).now();
        diesel::sql_query(format!(
            "UPDATE sti_backfill_chunk SET {besides}token = '', owner = '', lease_expires_at = {now} \
             WHERE id = $1 AND token = $2 AND state = 'leased'"
        ))
        .bind::<BigInt, _>(lease.chunk)
        .bind::<Text, _>(&lease.token)
        .execute(connection)
        .doing(format!("giving back chunk {}", lease.number))
        .map(drop)
    })
}
