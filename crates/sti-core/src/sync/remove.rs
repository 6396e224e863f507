//! Taking the triggers away.

use diesel::connection::SimpleConnection as _;

use super::error::SyncError;
use super::sql::removal;
use super::status::{self, Installed};
use crate::contract::locks::{Attempts, Tables, under_locks};
use crate::contract::session::{Became, Session, Steps as _};
use crate::db::catalog;
use crate::db::dialect::{self, Against, Obstacle};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, ConnectError, DbError};
use crate::expand::Retry;
use crate::mapping::PARENT;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remove {
    /// There was nothing of them, and nothing was locked.
    Nothing,
    /// They are gone.
    Done {
        /// In how many attempts.
        attempts: u32,
    },
}

/// Takes the triggers and their function away, as far as they are there. From then on a writer that writes legacy columns
/// only leaves the subtype rows behind.
///
/// Locks: against other `sti-migrate`s, and ACCESS EXCLUSIVE on `projects_project` (what DROP TRIGGER takes), waited for
/// [`Attempts::lock_timeout`] at most.
///
/// Where the answer to COMMIT is lost, a fresh connection of `connector` looks whether they are gone.
///
/// # Errors
/// [`SyncError`]. Nothing was changed then, but for [`SyncError::Unknown`].
pub fn remove(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    locks: Attempts,
    tell: &mut dyn FnMut(&Retry),
) -> Result<Remove, SyncError> {
    let mut session = Session::open(connector)?;
    let connection = session.connection();
    if dialect::backend(connection) == Backend::Sqlite {
        return Err(SyncError::PostgresOnly);
    }
    if status::look(connection)?.installed == Installed::No {
        return Ok(Remove::Nothing);
    }
    let owner = dialect::not_owner(connection, PARENT).doing("asking what this role may do")?;
    if let Some(owner @ Obstacle::NotOwner { .. }) = owner {
        return Err(SyncError::Obstacles(vec![owner]));
    }
    let tables = Tables::Parent(Against::Everybody);
    let work = |connection: &mut AnyConnection| Ok::<(), SyncError>(take_away(connection)?);
    let ((), attempts) = under_locks(&mut session, tables, locks, tell, work, |connection, ()| {
        Ok(Became::done_if(status::look(connection)?.installed == Installed::No))
    })?;
    Ok(Remove::Done { attempts })
}

/// Takes them away in the transaction that drops the legacy columns, and holds the lock on the table: the condition of a
/// trigger names the columns, and PostgreSQL does not drop them from under it. Nothing where there is nothing.
pub(crate) fn remove_for_drop(connection: &mut AnyConnection) -> Result<(), DbError> {
    match dialect::backend(connection) {
        Backend::Postgres => take_away(connection),
        Backend::Sqlite => Ok(()),
    }
}

fn take_away(connection: &mut AnyConnection) -> Result<(), DbError> {
    let parent = catalog::place(connection, PARENT)?;
    connection.batch_execute(&removal(&parent)).doing("taking away the sync triggers")
}
