//! Attempt after attempt until the locks are had, and what the last one came to.

use std::time::Duration;

use diesel::result::Error;

use super::attempt::{Job, Made, Stop, attempt};
use super::error::ContractError;
use super::event::Recorded;
use super::locks::AsDbError as _;
use super::look::Look;
use super::options::DropOptions;
use super::outcome::{Blocked, Refusal};
use super::plan::DropPlan;
use super::progress::Progress;
use crate::db::dialect::{self, Against, Limits, LockHolder};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, Failed, Fault, retry};
use crate::expand::{Retry, TABLES};

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

/// The attempts at one thing that needs locks.
pub(super) struct Tries<'a> {
    options: &'a DropOptions,
    number: u32,
    failed_before: u32,
    tell: &'a mut dyn FnMut(&Progress),
}

impl<'a> Tries<'a> {
    /// Up to [`DropOptions::attempts`], at least one.
    pub(super) fn new(options: &'a DropOptions, tell: &'a mut dyn FnMut(&Progress)) -> Self {
        Self { options, number: 1, failed_before: 0, tell }
    }

    /// Tells how far it is.
    pub(super) fn tell(&mut self, progress: &Progress) {
        (self.tell)(progress);
    }

    /// The number of this attempt, those at other things that failed included.
    pub(super) const fn number(&self) -> u32 {
        self.failed_before + self.number
    }

    /// From here on it is another thing that is tried for, as often.
    pub(super) fn at_something_else(&mut self) {
        self.failed_before += self.number - 1;
        self.number = 1;
    }

    /// An attempt that is made and repeated elsewhere has failed.
    pub(super) fn failed_elsewhere(&mut self, retry: &Retry) {
        self.failed_before += 1;
        self.tell(&Progress::Retry(retry.clone()));
    }

    /// This attempt has failed, having changed nothing: rests before the next one, or says that there is none.
    pub(super) fn failed(
        &mut self,
        connection: &mut AnyConnection,
        reason: String,
        plan: &DropPlan,
    ) -> Result<Option<Blocked>, ContractError> {
        let holders = dialect::lock_holders(connection, &TABLES, Against::Everybody);
        let holders = holders.doing("asking who holds the locks")?;
        Ok(self.failed_for(holders, reason, plan))
    }

    /// [`Self::failed`], where it is known who is in the way.
    pub(super) fn failed_for(
        &mut self,
        holders: Vec<LockHolder>,
        reason: String,
        plan: &DropPlan,
    ) -> Option<Blocked> {
        let (number, attempts) = (self.number, self.options.attempts.max(1));
        if number == attempts {
            let plan = Box::new(plan.clone());
            return Some(Blocked { plan, attempts, holders, reason, by_another_drop: false });
        }
        let rest = retry::rest(number);
        self.tell(&Progress::Retry(Retry { attempt: number, attempts, reason, holders, rest }));
        self.options.rest(rest);
        self.number += 1;
        None
    }
}

/// Tries for the locks up to [`DropOptions::attempts`] times, where everything is done under them; also gives the
/// number of attempts.
pub(super) fn attempts(
    connection: &mut AnyConnection,
    options: &DropOptions,
    before: &Look,
    digest: &str,
    rehearsal: bool,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(Ended, u32), ContractError> {
    let limits = limits(connection, options)?;
    let job = Job { options, limits, before, digest, rehearsal };
    let mut tries = Tries::new(options, tell);
    loop {
        options.go_on()?;
        let mut recorded = None;
        let reason = match attempt(connection, &job, &mut tries, &mut recorded) {
            Ok(made) => return Ok((Ended::Made(made), tries.number())),
            Err(failed) => match after(failed, recorded)? {
                Again::After(reason) => reason,
                Again::Never(ended) => return Ok((ended, tries.number())),
            },
        };
        if let Some(blocked) = tries.failed(connection, reason, &before.plan)? {
            options.go_on()?;
            return Ok((Ended::Blocked(blocked), tries.number()));
        }
    }
}

/// Whether to try again after a failure that left nothing behind.
pub(super) enum Again {
    /// For this reason it failed.
    After(String),
    Never(Ended),
}

/// What an attempt that was not committed comes to.
pub(super) fn after(failed: Failed<Stop>, recorded: Option<Recorded>) -> Result<Again, ContractError> {
    match failed {
        Failed::Body(Stop::Rehearsed(made)) => Ok(Again::Never(Ended::Made(made))),
        Failed::Body(Stop::Refused(plan, why)) => Ok(Again::Never(Ended::Refused(plan, why))),
        Failed::Body(Stop::NotLocked(source)) => Ok(Again::After(source.to_string())),
        Failed::Body(Stop::TooMuch) => {
            Ok(Again::After("too much was written since the change log was last worked off".to_owned()))
        }
        Failed::Body(Stop::Failed(error)) => rolled_back(error),
        Failed::Begin(source) => {
            rolled_back(DbError { doing: "beginning the transaction".to_owned(), source }.into())
        }
        Failed::Commit(source) => not_committed(source, recorded),
    }
}

/// Everything was rolled back: COMMIT was never sent.
fn rolled_back(error: ContractError) -> Result<Again, ContractError> {
    let source = error.into_db_error()?;
    match source.fault() {
        Fault::LockTimeout | Fault::Transient => Ok(Again::After(source.to_string())),
        Fault::ConnectionLost => Ok(Again::Never(Ended::Lost { source, at_commit: None })),
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
        (Fault::LockTimeout | Fault::Transient, _) => Ok(Again::After(source.to_string())),
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
