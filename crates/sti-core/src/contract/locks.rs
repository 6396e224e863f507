//! Transactions that change the schema under short locks: tried again after a rest where a lock was not to be had.

use std::time::Duration;

use super::Retry;
use super::session::{self, Became, Steps, Unknown};
use crate::backfill::StopSignal;
use crate::db::dialect::{self, Against, Limits, LockHolder};
use crate::db::error::{Doing as _, Fault};
use crate::db::{AnyConnection, DbError, retry};
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

/// [`Attempts`] that end early when somebody asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting<'a> {
    attempts: Attempts,
    stop: Option<&'a StopSignal>,
}

impl From<Attempts> for Waiting<'_> {
    fn from(attempts: Attempts) -> Self {
        Self { attempts, stop: None }
    }
}

impl<'a> Waiting<'a> {
    pub(crate) const fn until(attempts: Attempts, stop: Option<&'a StopSignal>) -> Self {
        Self { attempts, stop }
    }

    /// The same, with a single attempt.
    pub(crate) const fn once(self) -> Self {
        Self { attempts: Attempts { attempts: 1, ..self.attempts }, stop: self.stop }
    }

    fn is_over(self) -> bool {
        self.stop.is_some_and(StopSignal::is_set)
    }

    fn rest(self, time: Duration) {
        match self.stop {
            Some(stop) => stop.rest(time),
            None => std::thread::sleep(time),
        }
    }
}

/// Which tables a transaction locks first of all, and all at once; against everybody, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// None: only against another `sti-migrate`.
    None,
    /// All three, for columns and triggers that come.
    All,
    /// The subtype tables, for triggers that go.
    Rows,
    /// One of them.
    One(&'static str),
    /// The parent table, for its triggers that come (against writers) or go (against everybody).
    Parent(Against),
}

impl Tables {
    /// Whose locks stand in the way.
    const fn against(self) -> Against {
        if let Self::Parent(against) = self { against } else { Against::Everybody }
    }
}

/// Why it did not come to its end. But for [`Undone::Unknown`], nothing was changed.
#[derive(Debug)]
pub(crate) enum Undone<E> {
    /// The locks were not to be had.
    Locked { attempts: u32, holders: Vec<LockHolder>, source: DbError },
    /// COMMIT got no clear answer, and what became of it could not be found out.
    Unknown(Unknown),
    /// What the work itself says, or the database.
    Failed(E),
}

/// Runs `work` in a write transaction that first takes the lock against other `sti-migrate`s and those on `tables`;
/// an attempt that fails for a lock, or whose COMMIT is lost and did not happen, is rolled back, `tell` hears of it, and
/// it is tried again after a rest. Gives what `work` gives, and the number of the attempt.
///
/// Whoever asks for a stop gets [`Undone::Locked`] after the attempt that is under way, if that fails, or at once if it
/// rests.
///
/// `became` looks for what `work` would have left behind, if COMMIT got no clear answer; nobody is at work then.
pub(crate) fn under_locks<'a, T, E: From<DbError> + AsDbError>(
    session: &mut impl Steps,
    tables: Tables,
    waiting: impl Into<Waiting<'a>>,
    tell: &mut dyn FnMut(&Retry),
    mut work: impl FnMut(&mut AnyConnection) -> Result<T, E>,
    became: impl Fn(&mut AnyConnection, &T) -> Result<Became, DbError>,
) -> Result<(T, u32), Undone<E>> {
    let failed = |error: DbError| Undone::Failed(error.into());
    let waiting = waiting.into();
    let lock = dialect::lock_limit(session.connection(), waiting.attempts.lock_timeout)
        .doing("reading deadlock_timeout")
        .map_err(failed)?;
    let attempts = waiting.attempts.attempts.max(1);
    let mut attempt = 1;
    loop {
        let done = session.transaction(
            |connection| {
                dialect::limit_transaction(connection, Limits { lock, statement: STATEMENT })
                    .doing("setting the limits of the transaction")?;
                dialect::lock_schema(connection).doing("waiting for another sti-migrate")?;
                lock_tables(connection, tables)?;
                work(connection)
            },
            |connection, value| {
                dialect::lock_schema(connection).doing("waiting for the end of the session that was lost")?;
                became(connection, value)
            },
        );
        let (error, lost): (E, bool) = match done {
            Ok(value) => return Ok((value, attempt)),
            Err(session::Undone::Unknown(unknown)) => return Err(Undone::Unknown(unknown)),
            Err(session::Undone::Work(error)) => (error, false),
            Err(session::Undone::Database(error)) => (error.into(), false),
            Err(session::Undone::Lost(error)) => (error.into(), true),
        };
        let passes = lost
            || error
                .as_db_error()
                .is_some_and(|error| matches!(error.fault(), Fault::LockTimeout | Fault::Transient));
        if !passes {
            return Err(Undone::Failed(error));
        }
        let holders = dialect::lock_holders(session.connection(), &TABLES, tables.against())
            .doing("asking who holds the locks")
            .map_err(failed)?;
        if attempt < attempts && !waiting.is_over() {
            let rest = retry::rest(attempt);
            let reason = error.as_db_error().map(ToString::to_string).unwrap_or_default();
            tell(&Retry { attempt, attempts, reason, holders: holders.clone(), rest });
            waiting.rest(rest);
            if !waiting.is_over() {
                attempt += 1;
                continue;
            }
        }
        return match error.into_db_error() {
            Ok(source) => Err(Undone::Locked { attempts: attempt, holders, source }),
            Err(error) => Err(Undone::Failed(error)),
        };
    }
}

/// An error that may be the database's.
pub(crate) trait AsDbError: Sized {
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
        Tables::Parent(Against::Everybody) => dialect::lock_exclusively(connection, &TABLES[..1]),
        Tables::Parent(Against::Writers) => dialect::lock_against_writers(connection, &TABLES[..1]),
    }
    .doing("locking the tables")
}
