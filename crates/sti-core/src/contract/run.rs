//! A drop, or its rehearsal, that works ahead of its locks: its row in `sti_drop_run`.
//!
//! The row is what two of them meet at. Each transaction of a drop begins by holding its row; who finds it given up
//! stops. So a drop that was killed can be taken away by the next command while its server process may still be about
//! to commit: either the row is given up first, and the drop cannot be made any more, or the drop is made first.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::archive;
use super::error::ContractError;
use crate::db::dialect::LockHolder;
use crate::db::error::Doing as _;
use crate::db::sql_types::{DbTimestamp, Timestamp};
use crate::db::{AnyConnection, DbError};
use crate::models::ProjectId;

/// A drop that does not commit anything for so long, and holds no lock, is dead even if its server process is there:
/// behind a proxy that process serves others.
const DEAD_AFTER: &str = "interval '60 seconds'";

/// SQL: true for a run that is neither made nor given up.
const OPEN: &str = "event_id IS NULL AND NOT abandoned";

/// A run that is not a drop.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct UnmadeRun {
    /// Its id, which no event has.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// When it began, by the database's clock.
    #[diesel(sql_type = DbTimestamp)]
    pub begun_at: Timestamp,
    /// Whether it was to be rolled back anyway.
    #[diesel(sql_type = Bool)]
    pub rehearsal: bool,
    /// Whether it is at work, as far as one can see: a transaction of one holds its row, as long as that may take; or its
    /// session is there, and was heard of lately.
    #[diesel(sql_type = Bool)]
    pub at_work: bool,
}

fn at_work() -> String {
    // What holds the row has written it: that lock on the table is held to the end of the transaction.
    format!(
        "{OPEN} AND (EXISTS (SELECT 1 FROM pg_locks l WHERE l.granted AND l.locktype = 'relation' \
         AND l.mode = 'RowExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid() \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.relation = to_regclass('sti_drop_run')) \
         OR seen_at > clock_timestamp() - {DEAD_AFTER} AND EXISTS (SELECT 1 FROM pg_stat_activity a \
         WHERE a.pid = r.pid AND a.datname = current_database()))"
    )
}

/// Every run that is not a drop. The table must be there.
pub(super) fn unmade(connection: &mut AnyConnection) -> Result<Vec<UnmadeRun>, DbError> {
    diesel::sql_query(format!(
        "SELECT id, begun_at, rehearsal, {} AS at_work FROM sti_drop_run r WHERE event_id IS NULL ORDER BY id",
        at_work()
    ))
    .load(connection)
    .doing("reading the drops that were not made")
}

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// Makes the row of a new run. The event will have its id.
pub(super) fn begin(connection: &mut AnyConnection, rehearsal: bool) -> Result<i64, DbError> {
    let row: Id = diesel::sql_query(
        "INSERT INTO sti_drop_run (id, begun_at, seen_at, pid, rehearsal) \
         VALUES (nextval(pg_get_serial_sequence('sti_drop_event', 'id')), clock_timestamp(), clock_timestamp(), \
                 pg_backend_pid(), $1) RETURNING id",
    )
    .bind::<Bool, _>(rehearsal)
    .get_result(connection)
    .doing("recording that a drop begins")?;
    Ok(row.id)
}

/// Holds the run's row until the transaction ends. Gives the mark that is left on it, which the next transaction gives as
/// `last`: a pooler may have gone on to another server, or to one that has crashed, where what was committed is not.
pub(super) fn hold(
    connection: &mut AnyConnection,
    run: i64,
    last: Option<Timestamp>,
) -> Result<Timestamp, ContractError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbTimestamp)]
        seen_at: Timestamp,
    }
    let held: Vec<Row> = diesel::sql_query(format!(
        "UPDATE sti_drop_run SET seen_at = greatest(clock_timestamp(), seen_at + interval '1 microsecond'), \
         pid = pg_backend_pid() WHERE id = $1 AND {OPEN} AND ($2 IS NULL OR seen_at = $2) RETURNING seen_at"
    ))
    .bind::<BigInt, _>(run)
    .bind::<Nullable<DbTimestamp>, _>(last)
    .load(connection)
    .doing("holding the record of this drop")?;
    held.first().map(|row| row.seen_at).ok_or(ContractError::Overtaken)
}

/// From here on the run is the drop of the event with its id. In the transaction that holds its row.
pub(super) fn made(connection: &mut AnyConnection, run: i64) -> Result<(), DbError> {
    diesel::sql_query("UPDATE sti_drop_run SET event_id = id WHERE id = $1")
        .bind::<BigInt, _>(run)
        .execute(connection)
        .doing("recording that the drop is made")
        .map(|_| ())
}

/// Gives up every run that is dead, and the one that is `mine`; those that somebody holds, or that are at work, stay.
pub(super) fn give_up(connection: &mut AnyConnection, mine: Option<i64>) -> Result<(), DbError> {
    diesel::sql_query(format!(
        "UPDATE sti_drop_run SET abandoned = true WHERE id IN (\
            SELECT id FROM sti_drop_run r WHERE {OPEN} AND (id = $1 OR NOT ({})) FOR UPDATE SKIP LOCKED)",
        at_work()
    ))
    .bind::<BigInt, _>(mine.unwrap_or(-1))
    .execute(connection)
    .doing("giving up drops that were not made")
    .map(|_| ())
}

/// The runs that may still be made, as sessions in the way of another one.
pub(super) fn open(connection: &mut AnyConnection) -> Result<Vec<LockHolder>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        pid: i64,
        #[diesel(sql_type = Text)]
        application: String,
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(sql_type = BigInt)]
        age_ms: i64,
    }
    let rows: Vec<Row> = diesel::sql_query(format!(
        "SELECT r.pid::bigint AS pid, COALESCE(a.application_name, '') AS application, \
                COALESCE(a.state, '') AS state, \
                (EXTRACT(EPOCH FROM clock_timestamp() - r.begun_at) * 1000)::bigint AS age_ms \
         FROM sti_drop_run r LEFT JOIN pg_stat_activity a ON a.pid = r.pid WHERE {OPEN} ORDER BY r.id"
    ))
    .load(connection)
    .doing("looking for another drop")?;
    let holder = |row: Row| LockHolder {
        pid: Some(row.pid),
        application: row.application,
        state: row.state,
        age: Some(std::time::Duration::from_millis(row.age_ms.unsigned_abs())),
        on: "the change log (another drop or rehearsal)".to_owned(),
    };
    Ok(rows.into_iter().map(holder).collect())
}

/// Archived rows that go in one transaction.
const CHUNK: u32 = 10_000;

/// What is left of a run that is being taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakenAway {
    /// Nothing.
    All,
    /// Archived rows behind this one, or in front of it.
    Through(Option<ProjectId>),
}

/// Deletes a chunk of what a run that was given up has archived, behind `after`, and its row once nothing is left.
/// Holding the row, this transaction itself sees that the run is no drop.
pub(super) fn take_away(
    connection: &mut AnyConnection,
    run: i64,
    after: Option<ProjectId>,
) -> Result<TakenAway, DbError> {
    let held: Vec<Id> = diesel::sql_query(
        "SELECT id FROM sti_drop_run WHERE id = $1 AND event_id IS NULL AND abandoned FOR UPDATE",
    )
    .bind::<BigInt, _>(run)
    .load(connection)
    .doing("holding the record of a drop that was not made")?;
    if held.is_empty() {
        return Ok(TakenAway::All);
    }
    match archive::delete_behind(connection, run, after, CHUNK)? {
        Some(deleted) => return Ok(TakenAway::Through(Some(deleted.through))),
        // Once more from the beginning: only an archive that is empty has no run.
        None if after.is_some() => return Ok(TakenAway::Through(None)),
        None => {}
    }
    diesel::sql_query("DELETE FROM sti_drop_run WHERE id = $1")
        .bind::<BigInt, _>(run)
        .execute(connection)
        .doing("deleting the record of a drop that was not made")?;
    Ok(TakenAway::All)
}
