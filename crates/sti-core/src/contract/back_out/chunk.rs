//! One chunk: lock first, look second, delete, in one transaction.

use std::time::Duration;

use diesel::RunQueryDsl as _;

use super::plan::{Blocker, Obstacle, backfill_is_active, of_rows, of_the_whole};
use crate::contract::session::{self, Became, Session, Steps as _};
use crate::db::dialect::{self, Against, Limits, LockHolder};
use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError};
use crate::expand::TABLES;
use crate::keyset::{Keyset, in_sql};
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId};
use crate::probe::{Probe, Sabotage, Step};
use crate::subtype_rows;

/// Rows of one chunk.
pub(super) const CHUNK: u32 = 1_000;

/// The longest wait for one lock, on a server with the default `deadlock_timeout`.
pub(super) const LOCK_LIMIT: Duration = Duration::from_millis(300);

/// The longest run of one statement of a chunk.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(30);

/// What is the same for every chunk.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) limits: Limits,
    /// The kinds whose pointer column exists.
    pub(super) pointers: Vec<Kind>,
    pub(super) probe: &'a Probe,
}

/// Why a chunk was rolled back.
#[derive(Debug)]
pub(super) enum Undone {
    Database(DbError),
    /// Rows came up that must not go, or something began that must not meet this.
    Blocked(Blocker),
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

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
}

/// The projects of the next rows, seen without a lock.
pub(super) fn next(
    connection: &mut AnyConnection,
    kind: Kind,
    here: Keyset,
) -> Result<Vec<ProjectId>, DbError> {
    let sql = format!(
        "SELECT r.project_id AS id FROM {} r WHERE TRUE{}",
        kind.table(),
        here.page_sql("r.project_id", CHUNK)
    );
    let rows: Vec<Id> = diesel::sql_query(sql).load(connection).doing("reading the next subtype rows")?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Deletes the rows of `chunk` and commits; gives their number. Without a chunk, gives up the run of the backfill.
pub(super) fn run(
    session: &mut Session<'_>,
    job: &Job<'_>,
    chunk: Option<(Kind, &[ProjectId])>,
) -> Result<i64, session::Undone<Undone>> {
    let work = |connection: &mut AnyConnection| {
        dialect::limit_transaction(connection, job.limits).doing("limiting the transaction")?;
        dialect::lock_schema(connection).doing("waiting for another sti-migrate")?;
        if let Some(blocker) = of_the_whole(connection)?.into_iter().next() {
            return Err(Undone::Blocked(blocker));
        }
        let Some((kind, ids)) = chunk else {
            give_up_run(connection)?;
            return Ok(0);
        };
        // The one that was stopped has been given up, so this one has begun since, and would make the rows anew.
        if backfill_is_active(connection)? {
            let blocker = Blocker { obstacle: Obstacle::Backfill, count: 1, ids: Vec::new() };
            return Err(Undone::Blocked(blocker));
        }
        dialect::read_by_index(connection).doing("limiting the transaction")?;
        job.probe.at(Step::Lock);
        let mut expected = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        if job.probe.sabotage() != Sabotage::Lock {
            expected = lock(connection, kind, ids)?;
        }
        job.probe.at(Step::Look);
        let chosen = |key: &str| in_sql(key, ids.iter().copied());
        let with_pointer = job.pointers.contains(&kind);
        let blockers = of_rows(connection, kind, &chosen, true, with_pointer)?;
        if let Some(blocker) = blockers.into_iter().next() {
            return Err(Undone::Blocked(blocker));
        }
        job.probe.at(Step::Write);
        let found = subtype_rows::repair::delete(connection, kind, ids)?;
        if found != expected && job.probe.sabotage() == Sabotage::None {
            return Err(Undone::Interfered { expected, found });
        }
        job.probe.at(Step::Commit);
        Ok(found)
    };
    session.transaction(work, |connection, _| {
        dialect::lock_schema(connection).doing("waiting for the end of the session that was lost")?;
        match chunk {
            Some((kind, ids)) => became(connection, kind, ids),
            // Given up or not: it is asked and given up again.
            None => Ok(Became::NotDone),
        }
    })
}

/// What the rows say of a chunk whose COMMIT has no answer. A service may have made some of them anew: they are deleted
/// again, with a lock and a look, if all of them are there.
fn became(connection: &mut AnyConnection, kind: Kind, ids: &[ProjectId]) -> Result<Became, DbError> {
    let chosen = in_sql("r.project_id", ids.iter().copied());
    let sql = format!("SELECT r.project_id AS id FROM {} r WHERE {chosen}", kind.table());
    let there: Vec<Id> =
        diesel::sql_query(sql).load(connection).doing("looking which rows of the chunk are there")?;
    Ok(Became::done_if(there.len() < ids.len()))
}

/// Locks the projects, then the rows, each in the order of their ids; gives the number of rows.
fn lock(connection: &mut AnyConnection, kind: Kind, ids: &[ProjectId]) -> Result<i64, DbError> {
    let backend = dialect::backend(connection);
    let mut lock = |table: &str, key: &str, clause: &str| {
        let chosen = in_sql(key, ids.iter().copied());
        diesel::sql_query(format!("SELECT {key} AS id FROM {table} WHERE {chosen} ORDER BY {key} {clause}"))
            .load::<Id>(connection)
            .doing(format!("locking {table}"))
    };
    lock(PARENT, "id", backend.lock_rows())?;
    let rows = lock(kind.table(), "project_id", backend.lock_rows_for_delete())?;
    Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}

/// A run that was stopped would be taken up behind chunks whose rows are gone.
fn give_up_run(connection: &mut AnyConnection) -> Result<(), DbError> {
    let now = dialect::backend(connection).now();
    diesel::sql_query(format!(
        "UPDATE sti_backfill_run SET state = 'abandoned', finished_at = {now}, \
         stop_reason = 'given up by sti-migrate back-out' WHERE state = 'active'"
    ))
    .execute(connection)
    .doing("giving up the run that was stopped")?;
    Ok(())
}

/// Who holds a lock on one of the tables.
pub(super) fn holders(connection: &mut AnyConnection) -> Result<Vec<LockHolder>, DbError> {
    dialect::lock_holders(connection, &TABLES, Against::Writers).doing("asking who holds the locks")
}
