//! Transactions that change the schema under short locks: tried again after a rest where a lock was not to be had.

use std::time::Duration;

use super::Retry;
use crate::db::dialect::{self, Against, Limits, LockHolder};
use crate::db::error::{Doing as _, Fault};
use crate::db::{AnyConnection, DbError, Failed, retry, write_transaction_phased};
use crate::expand::TABLES;

/// The longest run of one statement under the locks: they change the catalogue, and no rows.
const STATEMENT: Duration = Duration::from_secs(10);

/// How often the locks are tried for, and how long one attempt waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How often to try, at least once.
    pub attempts: u32,
    /// The longest wait for one lock on PostgreSQL: as long may the application's statements queue behind us. Never
    /// more than 45 % of the server's `deadlock_timeout`. On SQLite the busy timeout of the connection counts.
    pub lock_timeout: Duration,
}

impl Default for Attempts {
    /// 20 attempts of 0.1 s, about half a minute with the rests between them.
    fn default() -> Self {
        Self { attempts: 20, lock_timeout: Duration::from_millis(100) }
    }
}

/// Which tables a transaction locks first of all, against everybody and all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tables {
    /// None: only against another `sti-migrate`.
    None,
    /// All three, for columns and triggers that come.
    All,
    /// The subtype tables, for triggers that go.
    Rows,
    /// One of them.
    One(&'static str),
}

/// Why it did not come to its end. But for [`Undone::Unknown`], nothing was changed.
#[derive(Debug)]
pub(super) enum Undone<E> {
    /// The locks were not to be had.
    Locked { attempts: u32, holders: Vec<LockHolder>, source: DbError },
    /// The connection was lost at COMMIT.
    Unknown(DbError),
    /// What the work itself says, or the database.
    Failed(E),
}

/// Runs `work` in a write transaction that first takes the lock against other `sti-migrate`s and those on `tables`;
/// an attempt that fails for a lock is rolled back, `tell` hears of it, and it is tried again after a rest. Gives
/// what `work` gives, and the number of the attempt.
pub(super) fn under_locks<T, E: From<DbError> + AsDbError>(
    connection: &mut AnyConnection,
    tables: Tables,
    limits: Attempts,
    tell: &mut dyn FnMut(&Retry),
    mut work: impl FnMut(&mut AnyConnection) -> Result<T, E>,
) -> Result<(T, u32), Undone<E>> {
    let failed = |error: DbError| Undone::Failed(error.into());
    let lock = dialect::lock_limit(connection, limits.lock_timeout)
        .doing("reading deadlock_timeout")
        .map_err(failed)?;
    let attempts = limits.attempts.max(1);
    let mut attempt = 1;
    loop {
        let done = write_transaction_phased(connection, |connection| {
            dialect::limit_transaction(connection, Limits { lock, statement: STATEMENT })
                .doing("setting the limits of the transaction")?;
            dialect::lock_schema(connection).doing("waiting for another sti-migrate")?;
            lock_tables(connection, tables)?;
            work(connection)
        });
        let error = match done {
            Ok(value) => return Ok((value, attempt)),
            Err(Failed::Commit(error)) if Fault::of(&error) == Fault::ConnectionLost => {
                return Err(Undone::Unknown(DbError { doing: "committing".to_owned(), source: error }));
            }
            Err(Failed::Begin(source) | Failed::Commit(source)) => {
                E::from(DbError { doing: "running the transaction".to_owned(), source })
            }
            Err(Failed::Body(error)) => error,
        };
        let passes = error
            .as_db_error()
            .is_some_and(|error| matches!(error.fault(), Fault::LockTimeout | Fault::Transient));
        if !passes {
            return Err(Undone::Failed(error));
        }
        let holders = dialect::lock_holders(connection, &TABLES, Against::Everybody)
            .doing("asking who holds the locks")
            .map_err(failed)?;
        if attempt == attempts {
            return match error.into_db_error() {
                Ok(source) => Err(Undone::Locked { attempts, holders, source }),
                Err(error) => Err(Undone::Failed(error)),
            };
        }
        let rest = retry::rest(attempt);
        let reason = error.as_db_error().map(ToString::to_string).unwrap_or_default();
        tell(&Retry { attempt, attempts, reason, holders, rest });
        std::thread::sleep(rest);
        attempt += 1;
    }
}

/// An error that may be the database's.
pub(super) trait AsDbError: Sized {
    /// The database's error, if it is one.
    fn as_db_error(&self) -> Option<&DbError>;

    /// The database's error, or itself.
    fn into_db_error(self) -> Result<DbError, Self>;
}

impl AsDbError for DbError {
    fn as_db_error(&self) -> Option<&DbError> {
        Some(self)
    }

    fn into_db_error(self) -> Result<DbError, Self> {
        Ok(self)
    }
}

fn lock_tables(connection: &mut AnyConnection, tables: Tables) -> Result<(), DbError> {
    match tables {
        Tables::None => Ok(()),
        Tables::All => dialect::lock_exclusively(connection, &TABLES),
        Tables::Rows => dialect::lock_exclusively(connection, &TABLES[1..]),
        Tables::One(table) => dialect::lock_exclusively(connection, &[table]),
    }
    .doing("locking the tables")
}
