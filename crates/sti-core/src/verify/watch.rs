//! How a pass is watched: what it does at the moment, how long it may take, and who may ask it to stop.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use crate::backfill::StopSignal;
use crate::db::dialect::{self, Canceller, Standby};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Fault};
use crate::interrupt::{Interrupt, interruptible};

use super::error::{Unfinished, VerifyError};

/// What a verification does at the moment. A database tells nothing about how far one statement over the whole tables
/// has come, so the steps are all that can be told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The one statement that compares both sides of every project.
    Comparing,
    /// Counting the rows that the comparison must account for.
    Counting,
    /// Reading the values of the samples.
    Sampling,
    /// Handing over the findings, one by one.
    Ids {
        /// How many projects and rows with findings have been handed over.
        done: i64,
        /// How many there are.
        of: i64,
    },
}

/// What watches a pass.
#[derive(Default)]
pub(super) struct Watch<'w> {
    limit: Option<(Instant, Duration)>,
    stop: Option<StopSignal>,
    progress: Option<&'w (dyn Fn(Step) + Sync)>,
}

impl<'w> Watch<'w> {
    /// Begins to count the time of `limit`.
    pub(super) fn new(
        limit: Option<Duration>,
        stop: Option<StopSignal>,
        progress: Option<&'w (dyn Fn(Step) + Sync)>,
    ) -> Self {
        let limit = limit.and_then(|time| Some((Instant::now().checked_add(time)?, time)));
        Self { limit, stop, progress }
    }

    /// Makes sure that the open transaction is a snapshot, and makes its statements end when the time is over or the
    /// signal is set: on SQLite from inside, on PostgreSQL the canceller does it, and [`Watch::enter`].
    pub(super) fn begin(&self, connection: &mut AnyConnection) -> Result<Reading, VerifyError> {
        let read =
            dialect::read_transaction(connection).doing("asking for the isolation of the transaction")?;
        if !read.is_snapshot {
            return Err(VerifyError::NoSnapshot);
        }
        let (deadline, stop) = (self.limit.map(|(deadline, _)| deadline), self.stop.clone());
        let mut condition = None;
        if deadline.is_some() || stop.is_some() {
            // A deadline and a flag: neither can be left half changed.
            let signals = AssertUnwindSafe((deadline, stop));
            let go_on = move || !over(signals.0.0) && !signals.0.1.as_ref().is_some_and(StopSignal::is_set);
            let watched = dialect::watch_rows(connection, go_on).doing("watching over the pass")?;
            condition = watched.then_some(dialect::GO_ON);
        }
        Ok(Reading { condition, canceller: read.canceller, standby: read.standby })
    }

    /// To be called before each statement of the pass: tells the step, and gives the statement what is left of the
    /// time.
    pub(super) fn enter(&self, connection: &mut AnyConnection, step: Step) -> Result<(), VerifyError> {
        self.check(None)?;
        if let Some((deadline, _)) = self.limit {
            let left = deadline.saturating_duration_since(Instant::now());
            dialect::limit_statements(connection, left).doing("limiting the time of a statement")?;
        }
        if let Some(progress) = self.progress {
            progress(step);
        }
        Ok(())
    }

    /// To be called now and then while rows of a statement are handed over: tells how far it has come.
    pub(super) fn go_on(&self, step: Step, doing: &str) -> Result<(), VerifyError> {
        self.check(Some(doing))?;
        if let Some(progress) = self.progress {
            progress(step);
        }
        Ok(())
    }

    /// To be called now and then while rows arrive: fails when the time is over or the signal is set.
    pub(super) fn check(&self, doing: Option<&str>) -> Result<(), VerifyError> {
        let why = match self.limit {
            _ if self.stop.as_ref().is_some_and(StopSignal::is_set) => Unfinished::Asked,
            Some((deadline, time)) if over(Some(deadline)) => Unfinished::TimeLimit(time),
            _ => return Ok(()),
        };
        Err(VerifyError::Unfinished { why, doing: doing.map(str::to_owned) })
    }

    /// Tells an end that was wanted, or that passes by itself, from a failure.
    pub(super) fn judge(&self, error: VerifyError) -> VerifyError {
        let VerifyError::Database(error) = error else { return error };
        let asked = self.stop.as_ref().is_some_and(StopSignal::is_set);
        let why = match (error.fault(), self.limit) {
            (Fault::Cancelled, _) if asked => Unfinished::Asked,
            (Fault::Cancelled, Some((deadline, time))) if over(Some(deadline)) => Unfinished::TimeLimit(time),
            (Fault::Cancelled, _) => Unfinished::Cancelled,
            (Fault::StatementTimeout, Some((_, time))) => Unfinished::TimeLimit(time),
            (Fault::StatementTimeout, None) => return VerifyError::ServerLimit { doing: error.doing },
            (Fault::StandbyConflict, _) => Unfinished::StandbyConflict,
            _ => return VerifyError::Database(error),
        };
        VerifyError::Unfinished { why, doing: Some(error.doing) }
    }
}

fn over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// The open transaction of a pass.
pub(super) struct Reading {
    /// SQL: what every row of the long statements must fulfil, so that they can be ended.
    pub(super) condition: Option<&'static str>,
    canceller: Option<Canceller>,
    pub(super) standby: Option<Standby>,
}

impl Reading {
    /// Of a transaction that somebody else watches over.
    pub(super) const fn unwatched() -> Self {
        Self { condition: None, canceller: None, standby: None }
    }

    /// SQL: the condition as a WHERE clause.
    pub(super) fn where_sql(&self) -> String {
        self.condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default()
    }

    /// SQL: the condition behind others.
    pub(super) fn and_sql(&self) -> String {
        self.condition.map(|condition| format!(" AND {condition}")).unwrap_or_default()
    }

    /// Does `work`, whose statements are cancelled as soon as the signal is set, until it comes back.
    pub(super) fn interruptible<T>(&self, interrupt: Option<&Interrupt>, work: impl FnOnce() -> T) -> T {
        interruptible(self.canceller, interrupt, work)
    }
}
