//! Attempt after attempt until the locks are had, and what the last one came to.

use std::time::Duration;

use diesel::result::Error;

use super::attempt::{Job, Made, Stop, attempt};
use super::error::ContractError;
use super::event::Recorded;
use super::look::Look;
use super::options::DropOptions;
use super::outcome::{Blocked, Refusal};
use super::plan::DropPlan;
use crate::db::dialect::{self, Against, Limits};
use crate::db::error::Doing as _;
use crate::db::migrations::MigrationError;
use crate::db::{AnyConnection, DbError, Failed, Fault, retry};
use crate::expand::{Retry, TABLES};
use crate::verify::VerifyError;

/// What the last attempt came to.
#[derive(Debug)]
pub(super) enum Ended {
    /// Committed; or, in a rehearsal, done to the end and rolled back.
    Made(Made),
    Refused(Box<DropPlan>, Refusal),
    Blocked(Blocked),
    /// The connection is gone.
    Lost {
        source: DbError,
        /// The event, if COMMIT was sent: the drop may have been made.
        at_commit: Option<Recorded>,
    },
}

/// Tries for the locks up to [`DropOptions::attempts`] times; also gives the number of attempts.
pub(super) fn attempts(
    connection: &mut AnyConnection,
    options: &DropOptions,
    before: &Look,
    digest: &str,
    rehearsal: bool,
    retrying: &mut dyn FnMut(&Retry),
) -> Result<(Ended, u32), ContractError> {
    let limits = limits(connection, options)?;
    let job = Job { options, limits, before, digest, rehearsal };
    let attempts = options.attempts.max(1);
    let mut number = 1;
    loop {
        let mut recorded = None;
        let again = match attempt(connection, &job, &mut recorded) {
            Ok(made) | Err(Failed::Body(Stop::Rehearsed(made))) => return Ok((Ended::Made(made), number)),
            Err(Failed::Body(Stop::Refused(plan, why))) => return Ok((Ended::Refused(plan, why), number)),
            Err(Failed::Body(Stop::Failed(error))) => failed(error, limits)?,
            Err(Failed::Begin(source)) => {
                failed(DbError { doing: "beginning the transaction".to_owned(), source }.into(), limits)?
            }
            Err(Failed::Commit(source)) => not_committed(source, recorded)?,
        };
        let source = match again {
            Again::After(source) => source,
            Again::Never(ended) => return Ok((ended, number)),
        };
        let holders = dialect::lock_holders(connection, &TABLES, Against::Everybody);
        let holders = holders.doing("asking who holds the locks")?;
        let reason = source.to_string();
        if number == attempts {
            let plan = Box::new(before.plan.clone());
            return Ok((Ended::Blocked(Blocked { plan, attempts, holders, reason }), number));
        }
        let rest = retry::rest(number);
        retrying(&Retry { attempt: number, attempts, reason, holders, rest });
        std::thread::sleep(rest);
        number += 1;
    }
}

/// Whether to try again after a failure that left nothing behind.
enum Again {
    After(DbError),
    Never(Ended),
}

/// Everything was rolled back: COMMIT was never sent.
fn failed(error: ContractError, limits: Limits) -> Result<Again, ContractError> {
    let source = error.into_database()?;
    match source.fault() {
        Fault::LockTimeout | Fault::Transient => Ok(Again::After(source)),
        Fault::ConnectionLost => Ok(Again::Never(Ended::Lost { source, at_commit: None })),
        Fault::StatementTimeout => Err(ContractError::TooSlow { limit: limits.statement, source }),
        _ => Err(source.into()),
    }
}

/// An answer to COMMIT that says no means rolled back. Without an answer only the catalogue knows.
fn not_committed(source: Error, recorded: Option<Recorded>) -> Result<Again, ContractError> {
    let source = match source {
        Error::RollbackErrorOnCommit { commit_error, .. } => *commit_error,
        source => source,
    };
    let source = DbError { doing: "committing the drop".to_owned(), source };
    match (source.fault(), recorded) {
        // SQLite: somebody reads, and COMMIT has to wait for that.
        (Fault::LockTimeout | Fault::Transient, _) => Ok(Again::After(source)),
        (Fault::Row | Fault::ReadOnly, _) | (_, None) => Err(source.into()),
        (_, at_commit) => Ok(Again::Never(Ended::Lost { source, at_commit })),
    }
}

/// The longest that a statement may run under the locks is twice the longest time that is allowed for all of them.
fn limits(connection: &mut AnyConnection, options: &DropOptions) -> Result<Limits, ContractError> {
    let lock = dialect::lock_limit(connection, options.lock_timeout).doing("reading deadlock_timeout")?;
    let statement = (options.max_lock * 2).max(Duration::from_secs(1));
    Ok(Limits { lock, statement })
}

impl ContractError {
    /// What the database said; any other error stays.
    fn into_database(self) -> Result<DbError, Self> {
        match self {
            Self::Db(error) | Self::Migration(MigrationError::Db(error)) => Ok(error),
            Self::Verify(VerifyError::Database(error)) => Ok(error),
            other => Err(other),
        }
    }
}
