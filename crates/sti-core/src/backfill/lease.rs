//! Leases: who may work on which chunk. A lease is taken in a short transaction of its own; its token is asked for
//! when the chunk commits, so a lease that was taken over by mistake costs work and never a row.

mod give_back;

use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
use diesel::{OptionalExtension as _, RunQueryDsl as _};
use uuid::Uuid;

use super::config::{BackfillConfig, Owner};
use super::engine::Ending;
use super::ledger::{self, RunId};
use super::terms::Terms;
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, dialect, lease_transaction};
use crate::keyset::{KeyRange, Keyset};
use crate::models::ProjectId;

pub(super) use give_back::{halve, postpone, release};

/// The right to commit one chunk.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub chunk: i64,
    pub sweep: i32,
    pub number: i32,
    pub range: KeyRange,
    /// How many projects there were in the range when it was cut, where that is known.
    pub keys: Option<u32>,
    pub token: String,
    /// Who held it before, when it was taken over.
    pub taken_from: Option<String>,
}

/// What there is to do next in a run.
#[derive(Debug)]
pub(super) enum Next {
    /// This chunk.
    Chunk(Lease),
    /// Wait: somebody, or another worker of this process, still works on the last chunks of the sweep.
    Wait(String),
    /// All chunks of this sweep are done.
    SweepDone(Swept),
    /// The run has ended, in this way.
    RunOver(Ending),
}

/// The end of a sweep, as it was seen under the lock of the run's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Swept {
    pub sweep: i32,
    pub through: Option<ProjectId>,
}

#[derive(diesel::QueryableByName)]
struct Open {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Integer)]
    sweep: i32,
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = Nullable<DbUuid>)]
    after_id: Option<ProjectId>,
    #[diesel(sql_type = DbUuid)]
    through_id: ProjectId,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Integer)]
    postponed: i32,
    #[diesel(sql_type = Bool)]
    expired: bool,
}

#[derive(diesel::QueryableByName)]
struct Inserted {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Integer)]
    number: i32,
}

/// Finds the next chunk of a run and takes its lease: first one that a dead process left, then a new one of `size`
/// projects. Locks the run's row for as long as that takes; a chunk that somebody works on at this moment is not
/// waited for.
pub(super) fn next(
    connection: &mut AnyConnection,
    run: RunId,
    config: &BackfillConfig,
    terms: Terms,
    size: u32,
) -> Result<Next, DbError> {
    lease_transaction(connection, |connection| {
        let state = ledger::lock_run(connection, run)?;
        if state.state != "active" {
            return Ok(Next::RunOver(Ending::elsewhere(&state.state)));
        }
        let open = open_leases(connection, run)?;
        let is_free = |open: &&Open| open.expired || config.owner.knows_to_be_dead(&open.owner);
        let (put_off, orphans): (Vec<&Open>, Vec<&Open>) =
            open.iter().filter(is_free).partition(|open| open.postponed > 0);
        if let Some(lease) = take_over_one(connection, &orphans, &config.owner, terms)? {
            ledger::goes_on(connection, run)?;
            return Ok(Next::Chunk(lease));
        }
        let walk = Keyset::after(state.leased_through);
        // Every sweep cuts its chunks from all keys, so that nothing reads more than the range of a chunk. A catch-up
        // sweep locks and counts those alone that lack their row.
        let full = walk.next_full_range(connection, size)?;
        let keys = full.is_some().then_some(size);
        let range = match full {
            Some(full) => Some(full),
            None => walk.next_range(connection, "TRUE", size)?,
        };
        match range {
            Some((range, _)) => {
                let new = New { run, sweep: state.sweep, range, keys };
                lease(connection, new, &config.owner, terms).map(Next::Chunk)
            }
            // Those last that a lock stood in the way of.
            None => Ok(match take_over_one(connection, &put_off, &config.owner, terms)? {
                Some(lease) => {
                    ledger::goes_on(connection, run)?;
                    Next::Chunk(lease)
                }
                None => match open.into_iter().next() {
                    Some(open) => Next::Wait(open.owner),
                    None => {
                        ledger::goes_on(connection, run)?;
                        Next::SweepDone(Swept { sweep: state.sweep, through: state.leased_through })
                    }
                },
            }),
        }
    })
}

/// Whether, under the lock of the run's row, the sweep is still at the end where it was seen: nobody has taken a lease
/// since, for a project that came behind the last key.
pub(super) fn is_still_swept(
    connection: &mut AnyConnection,
    run: RunId,
    state: &ledger::Run,
    swept: Swept,
) -> Result<bool, DbError> {
    let here = Swept { sweep: state.sweep, through: state.leased_through };
    Ok(here == swept && open_leases(connection, run)?.is_empty())
}

fn open_leases(connection: &mut AnyConnection, run: RunId) -> Result<Vec<Open>, DbError> {
    diesel::sql_query(format!(
        "SELECT id, sweep, number, after_id, through_id, owner, postponed, lease_expires_at <= {} AS expired \
         FROM sti_backfill_chunk WHERE run_id = $1 AND state = 'leased' ORDER BY postponed, id",
        dialect::backend(connection).now()
    ))
    .bind::<BigInt, _>(run.0)
    .load(connection)
    .doing("reading the open leases")
}

/// Takes the first of these leases, which have run out, whose chunk nobody works on all the same.
fn take_over_one(
    connection: &mut AnyConnection,
    free: &[&Open],
    owner: &Owner,
    terms: Terms,
) -> Result<Option<Lease>, DbError> {
    for open in free {
        if let Some(lease) = take_over(connection, open, owner, terms)? {
            return Ok(Some(lease));
        }
    }
    Ok(None)
}

/// Takes a lease that has run out; `None` when its chunk is being worked on all the same.
fn take_over(
    connection: &mut AnyConnection,
    open: &Open,
    owner: &Owner,
    terms: Terms,
) -> Result<Option<Lease>, DbError> {
    let token = Uuid::new_v4().to_string();
    let backend = dialect::backend(connection);
    let taken = diesel::sql_query(format!(
        "UPDATE sti_backfill_chunk SET token = $1, owner = $2, attempts = attempts + 1, lease_expires_at = {}, \
            leased_at = {} \
         WHERE id = (SELECT id FROM sti_backfill_chunk WHERE id = $3 AND state = 'leased' {})",
        backend.now_plus(terms.lease_seconds()),
        backend.now(),
        backend.lock_free_rows(),
    ))
    .bind::<Text, _>(&token)
    .bind::<Text, _>(owner.to_string())
    .bind::<BigInt, _>(open.id)
    .execute(connection)
    .doing(format!("taking over chunk {}", open.number))?;
    Ok((taken == 1).then(|| Lease {
        chunk: open.id,
        sweep: open.sweep,
        number: open.number,
        range: KeyRange { after: open.after_id, through: open.through_id },
        keys: None,
        token,
        taken_from: Some(open.owner.clone()).filter(|owner| !owner.is_empty()),
    }))
}

/// A chunk that is to be cut.
#[derive(Clone, Copy)]
struct New {
    run: RunId,
    sweep: i32,
    range: KeyRange,
    keys: Option<u32>,
}

fn lease(connection: &mut AnyConnection, new: New, owner: &Owner, terms: Terms) -> Result<Lease, DbError> {
    let New { run, sweep, range, keys } = new;
    let token = Uuid::new_v4().to_string();
    let Inserted { id, number } = diesel::sql_query(format!(
        "INSERT INTO sti_backfill_chunk \
            (run_id, sweep, number, after_id, through_id, state, token, owner, lease_expires_at, leased_at) \
         SELECT $1, $2, COALESCE(max(number), 0) + 1, $3, $4, 'leased', $5, $6, {}, {} \
         FROM sti_backfill_chunk WHERE run_id = $1 AND sweep = $2 \
         RETURNING id, number",
        dialect::backend(connection).now_plus(terms.lease_seconds()),
        dialect::backend(connection).now()
    ))
    .bind::<BigInt, _>(run.0)
    .bind::<Integer, _>(sweep)
    .bind::<Nullable<DbUuid>, _>(range.after)
    .bind::<DbUuid, _>(range.through)
    .bind::<Text, _>(&token)
    .bind::<Text, _>(owner.to_string())
    .get_result(connection)
    .doing("leasing the next chunk")?;
    diesel::sql_query("UPDATE sti_backfill_run SET leased_through = $1, stop_reason = NULL WHERE id = $2")
        .bind::<DbUuid, _>(range.through)
        .bind::<BigInt, _>(run.0)
        .execute(connection)
        .doing("moving the run's cursor")?;
    Ok(Lease { chunk: id, sweep, number, range, keys, token, taken_from: None })
}

/// What the ledger says of a chunk whose COMMIT was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It committed.
    Done,
    /// It did not, and the lease is still ours.
    Open,
    /// Somebody else has it, or had it.
    Lost,
}

/// Reads what became of a lease's chunk.
pub(super) fn standing(connection: &mut AnyConnection, lease: &Lease) -> Result<Standing, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(sql_type = Text)]
        token: String,
    }
    let row: Option<Row> = diesel::sql_query("SELECT state, token FROM sti_backfill_chunk WHERE id = $1")
        .bind::<BigInt, _>(lease.chunk)
        .get_result(connection)
        .optional()
        .doing(format!("reading what became of chunk {}", lease.number))?;
    Ok(match row {
        Some(row) if row.token == lease.token && row.state == "done" => Standing::Done,
        Some(row) if row.token == lease.token => Standing::Open,
        _ => Standing::Lost,
    })
}
