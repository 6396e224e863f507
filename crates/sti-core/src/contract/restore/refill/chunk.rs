//! One chunk of a refill: lock first, look second, write, record, in one transaction.
//!
//! In READ COMMITTED a statement that waited for a lock sees the new version of the row that it waited for, and the
//! old version of every other row. So the first statement locks the parents, and a later one, with a snapshot of its
//! own, reads the archive and the subtype rows. Whoever writes a subtype row of a locked project from then on waits at
//! the restore's trigger, and levels the columns when the chunk has been committed.

use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Nullable};

use super::Refilled;
use super::sql;
use crate::contract::session::{self, Became, Session, Steps as _};
use crate::db::dialect::{self, Limits};
use crate::db::error::Doing as _;
use crate::db::sql_types::{DbTimestamp, DbUuid, Timestamp};
use crate::db::{AnyConnection, DbError};
use crate::keyset::{KeyRange, Keyset};
use crate::mapping::PARENT;
use crate::models::ProjectId;
use crate::probe::{Probe, Sabotage, Step};

/// The longest wait for one lock, on a server with the default `deadlock_timeout`.
pub(super) const LOCK_LIMIT: Duration = Duration::from_millis(300);

/// The longest run of one statement of a chunk.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(30);

/// What is the same for every chunk.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) event: i64,
    pub(super) size: u32,
    pub(super) limits: Limits,
    pub(super) probe: &'a Probe,
}

/// A chunk that was committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) refilled: Refilled,
    pub(super) through: ProjectId,
}

/// Why a chunk was rolled back.
#[derive(Debug)]
pub(super) enum Undone {
    Database(DbError),
    /// A row changed under the lock.
    Interfered {
        expected: i64,
        found: i64,
    },
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// Refills the next chunk behind the event's cursor and commits; `None` when there is none, which is recorded, or when
/// the event has been restored meanwhile. Two processes take turns: the event's row is locked first.
pub(super) fn run(
    session: &mut Session<'_>,
    job: &Job<'_>,
) -> Result<Option<Chunk>, session::Undone<Undone>> {
    let work = |connection: &mut AnyConnection| {
        dialect::limit_transaction(connection, job.limits).doing("limiting the transaction")?;
        dialect::read_by_index(connection).doing("limiting the transaction")?;
        let Some(cursor) = hold(connection, job)? else { return Ok(None) };
        let Some((range, _)) = Keyset::after(cursor).next_range(connection, "TRUE", job.size)? else {
            // Whatever comes from now on was written with the columns and the triggers there.
            advance(connection, ProjectId::MAX, job)?;
            return Ok(None);
        };
        job.probe.at(Step::Lock);
        let ids = lock(connection, &range, job)?;
        job.probe.at(Step::Look);
        let refilled = count(connection, &ids, job)?;
        job.probe.at(Step::Write);
        let found = write(connection, &ids, job)?;
        if found != refilled.changed {
            return Err(Undone::Interfered { expected: refilled.changed, found });
        }
        job.probe.at(Step::Record);
        advance(connection, range.through, job)?;
        job.probe.at(Step::Commit);
        Ok(Some(Chunk { refilled, through: range.through }))
    };
    session.transaction(work, |connection, chunk| match chunk {
        Some(chunk) => became(connection, job, chunk.through),
        None => became(connection, job, ProjectId::MAX),
    })
}

/// What the cursor says of a chunk whose COMMIT has no answer. Another process may have moved it since, over the same
/// projects: then they are refilled, whoever did it.
fn became(connection: &mut AnyConnection, job: &Job<'_>, through: ProjectId) -> Result<Became, DbError> {
    let restored_or_behind = hold(connection, job)?.is_none_or(|cursor| cursor >= Some(through));
    Ok(Became::done_if(restored_or_behind))
}

/// Locks the event's row and gives its cursor; `None` once it is restored.
#[expect(clippy::option_option, reason = "the outer one: restored or not; the inner one: from the beginning")]
fn hold(connection: &mut AnyConnection, job: &Job<'_>) -> Result<Option<Option<ProjectId>>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<DbUuid>)]
        refilled_through: Option<ProjectId>,
        #[diesel(sql_type = Nullable<DbTimestamp>)]
        restored_at: Option<Timestamp>,
    }
    let rows: Vec<Row> = diesel::sql_query(format!(
        "SELECT refilled_through, restored_at FROM sti_drop_event WHERE id = $1 {}",
        dialect::backend(connection).lock_rows()
    ))
    .bind::<BigInt, _>(job.event)
    .load(connection)
    .doing("locking the drop's row in sti_drop_event")?;
    Ok(rows.first().filter(|row| row.restored_at.is_none()).map(|row| row.refilled_through))
}

/// Locks the projects of the range in the order of their ids, as every writer does.
fn lock(connection: &mut AnyConnection, range: &KeyRange, job: &Job<'_>) -> Result<Vec<ProjectId>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbUuid)]
        id: ProjectId,
    }
    let locked = job.probe.sabotage() == Sabotage::None;
    let clause = if locked { dialect::backend(connection).lock_rows() } else { "" };
    let sql =
        format!("SELECT p.id AS id FROM {PARENT} p WHERE {} ORDER BY p.id {clause}", range.contains_sql());
    let rows: Vec<Row> = diesel::sql_query(sql).load(connection).doing("locking a chunk of projects")?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The second look: what there is to do.
fn count(connection: &mut AnyConnection, ids: &[ProjectId], job: &Job<'_>) -> Result<Refilled, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        projects: i64,
        #[diesel(sql_type = BigInt)]
        archived: i64,
        #[diesel(sql_type = BigInt)]
        changed: i64,
        #[diesel(sql_type = BigInt)]
        superseded: i64,
        #[diesel(sql_type = BigInt)]
        left_alone: i64,
        #[diesel(sql_type = BigInt)]
        beside_empty: i64,
    }
    let backend = dialect::backend(connection);
    let row: Row = diesel::sql_query(sql::count(backend, job.event, ids))
        .get_result(connection)
        .doing("comparing the archive with the subtype rows of a chunk")?;
    Ok(Refilled {
        chunks: 1,
        projects: row.projects,
        archived: row.archived,
        changed: row.changed,
        superseded: row.superseded,
        left: row.left_alone,
        beside_empty: row.beside_empty,
    })
}

fn write(connection: &mut AnyConnection, ids: &[ProjectId], job: &Job<'_>) -> Result<i64, DbError> {
    let backend = dialect::backend(connection);
    // With the second look taken out, the rows are read by the statement that waits for the lock.
    let clause = if job.probe.sabotage() == Sabotage::SecondLook { "FOR NO KEY UPDATE OF p" } else { "" };
    let rows = diesel::sql_query(sql::update(backend, job.event, ids, clause))
        .execute(connection)
        .doing("refilling the legacy columns of a chunk")?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

fn advance(connection: &mut AnyConnection, through: ProjectId, job: &Job<'_>) -> Result<(), DbError> {
    diesel::sql_query("UPDATE sti_drop_event SET refilled_through = $1 WHERE id = $2")
        .bind::<DbUuid, _>(through)
        .bind::<BigInt, _>(job.event)
        .execute(connection)
        .doing("recording how far the refill has come")?;
    Ok(())
}
