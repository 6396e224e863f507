//! Transactions that say what they are: a write transaction, a snapshot to read from, a savepoint.

use diesel::connection::{AnsiTransactionManager, Connection, TransactionManager};
use diesel::result::Error;

use super::connection::AnyConnection;
use super::dialect::{self, Limits, Reading};

/// Where a transaction failed. After a failed COMMIT whose answer was lost, only the database knows whether it
/// happened.
#[derive(Debug)]
pub enum Failed<E> {
    /// It could not begin; nothing was done.
    Begin(Error),
    /// The work inside failed; it was rolled back.
    Body(E),
    /// The COMMIT failed. Lost connections leave the outcome open; every other error means rolled back.
    Commit(Error),
}

impl<E: From<Error>> Failed<E> {
    /// The error, whatever its phase.
    pub fn flatten(self) -> E {
        match self {
            Self::Begin(e) | Self::Commit(e) => e.into(),
            Self::Body(e) => e,
        }
    }
}

type Manager = <AnyConnection as Connection>::TransactionManager;

/// Whether the connection is inside a transaction.
///
/// # Errors
/// `BrokenTransactionManager` when an earlier failure left the transaction in an unknown state.
pub fn in_transaction(connection: &mut AnyConnection) -> Result<bool, Error> {
    match Manager::transaction_manager_status_mut(connection).transaction_depth() {
        Ok(depth) => Ok(depth.is_some()),
        Err(e) => Err(e),
    }
}

/// Runs `work` in a transaction that may write: READ COMMITTED READ WRITE on PostgreSQL whatever the session's
/// defaults are, `BEGIN IMMEDIATE` on SQLite (a transaction that reads first and writes later fails there at
/// once when another one has written). Inside a transaction: a savepoint of it.
///
/// # Errors
/// What `work` says, or the database at BEGIN or COMMIT; in each case nothing stays written, but for a
/// connection lost at COMMIT: use [`write_transaction_phased`] where that matters.
pub fn write_transaction<T, E: From<Error>>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    write_transaction_phased(connection, work).map_err(Failed::flatten)
}

/// [`write_transaction`], telling in which phase it failed.
///
/// # Errors
/// [`Failed`].
pub fn write_transaction_phased<T, E>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, Failed<E>> {
    let begin = dialect::backend(connection).begin_write();
    run(connection, begin, work)
}

/// [`write_transaction_phased`] over a range of keys, under `limits`, which are told to the server together with BEGIN:
/// whole tables are not read where there is an index (`reading`). Not inside a transaction.
///
/// # Errors
/// [`Failed`].
pub fn limited_transaction<T, E>(
    connection: &mut AnyConnection,
    limits: Limits,
    reading: Reading,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, Failed<E>> {
    let begin = dialect::backend(connection).begin_limited(limits, reading);
    run(connection, &begin, work)
}

/// [`write_transaction`] for what is only worth something once a later transaction has committed, as a lease is: its
/// COMMIT does not wait for the disk, and a crash may undo it. Not inside a transaction.
///
/// # Errors
/// What `work` says, or the database at BEGIN or COMMIT.
pub fn lease_transaction<T, E: From<Error>>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    let begin = dialect::backend(connection).begin_unflushed();
    run(connection, begin, work).map_err(Failed::flatten)
}

/// Runs `work` in a read-only transaction in which every statement sees the same snapshot (REPEATABLE READ READ
/// ONLY on PostgreSQL, a deferred transaction on SQLite). Takes no row locks.
///
/// # Errors
/// What `work` says, or the database at BEGIN or COMMIT.
pub fn read_snapshot<T, E: From<Error>>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    let begin = dialect::backend(connection).begin_snapshot();
    run(connection, begin, work).map_err(Failed::flatten)
}

/// [`read_snapshot`] for what reads whole tables: it waits at most 1 s for a lock on one, and may take as long as it takes,
/// whatever limit the role has for its statements. Not inside a transaction.
///
/// # Errors
/// What `work` says, or the database at BEGIN or COMMIT.
pub fn count_snapshot<T, E: From<Error>>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, E> {
    let begin = dialect::backend(connection).begin_count();
    run(connection, begin, work).map_err(Failed::flatten)
}

/// Runs `work` in a transaction in which every statement sees the same snapshot, and which may write what nobody else
/// writes (REPEATABLE READ READ WRITE on PostgreSQL, `BEGIN IMMEDIATE` on SQLite). Not inside a transaction.
///
/// # Errors
/// [`Failed`].
pub fn writing_snapshot<T, E>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, Failed<E>> {
    let begin = dialect::backend(connection).begin_writing_snapshot();
    run(connection, begin, work)
}

fn run<T, E>(
    connection: &mut AnyConnection,
    begin: &str,
    work: impl FnOnce(&mut AnyConnection) -> Result<T, E>,
) -> Result<T, Failed<E>> {
    if in_transaction(connection).map_err(Failed::Begin)? {
        Manager::begin_transaction(connection).map_err(Failed::Begin)?;
    } else {
        match connection {
            AnyConnection::Pg(c) => AnsiTransactionManager::begin_transaction_sql(c, begin),
            AnyConnection::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, begin),
        }
        .map_err(Failed::Begin)?;
    }
    match work(connection) {
        Ok(value) => {
            Manager::commit_transaction(connection).map_err(Failed::Commit)?;
            Ok(value)
        }
        Err(error) => {
            // A rollback that fails leaves the connection broken, which its next use reports; the first error
            // is the one that explains.
            let _ = Manager::rollback_transaction(connection);
            Err(Failed::Body(error))
        }
    }
}
