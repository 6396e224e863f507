//! How a drop is made.

use std::time::Duration;

use super::error::ContractError;
use super::locks::AsDbError as _;
use super::waiver::{BadWaiver, Waiver};
use crate::backfill::StopSignal;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, Fault, dialect};
use crate::interrupt::{Interrupt, interruptible};
use crate::probe::Probe;

/// How a drop is planned, rehearsed and made: the same options for all three, or the digest does not fit.
#[derive(Clone, Debug)]
pub struct DropOptions {
    waivers: Vec<Waiver>,
    /// The longest time under the lock. PostgreSQL: once it is over, all is rolled back at the next step, and no statement
    /// runs for more than half of it; of a client that stands still the server ends the session when the rest of it is over,
    /// or 0.5 s if that is longer. SQLite: the longest estimate; above it nothing is locked at all.
    pub max_lock: Duration,
    /// The longest wait for the locks on PostgreSQL, for all of them together: as long may the application's statements queue behind us. Never
    /// more than 45 % of the server's `deadlock_timeout`, so that no session of the application is the victim of a
    /// deadlock. On SQLite the busy timeout of the connection counts.
    pub lock_timeout: Duration,
    /// How often to try for the locks, at least once, with a rest of 0.05 to 1.6 s in between.
    pub attempts: u32,
    /// How it is asked to stop; [`ContractError::Stopped`] then. PostgreSQL: statements that take long are cancelled, and an
    /// attempt that has its locks goes on to its end. SQLite: it is seen between two statements, until the columns go.
    pub interrupt: Option<Interrupt>,
    /// For tests.
    pub probe: Probe,
    /// For tests: how long ago the plan was made that is being made.
    #[cfg(feature = "test-support")]
    pub plan_age: Duration,
}

impl Default for DropOptions {
    /// No waivers, 2 s under the lock, 20 attempts of 0.1 s.
    fn default() -> Self {
        Self {
            waivers: Vec::new(),
            max_lock: Duration::from_secs(2),
            lock_timeout: Duration::from_millis(100),
            attempts: 20,
            interrupt: None,
            probe: Probe::default(),
            #[cfg(feature = "test-support")]
            plan_age: Duration::ZERO,
        }
    }
}

impl DropOptions {
    /// The same with these waivers, in the order of the gates.
    ///
    /// # Errors
    /// [`BadWaiver::Twice`].
    pub fn waive(mut self, waivers: impl IntoIterator<Item = Waiver>) -> Result<Self, BadWaiver> {
        self.waivers.extend(waivers);
        self.waivers.sort_unstable();
        match self.waivers.windows(2).find(|pair| pair[0].gate() == pair[1].gate()) {
            Some(pair) => Err(BadWaiver::Twice(pair[0].gate())),
            None => Ok(self),
        }
    }

    /// What is set when it is asked to stop.
    pub(super) fn stop(&self) -> Option<&StopSignal> {
        self.interrupt.as_ref().map(|interrupt| &interrupt.signal)
    }

    fn is_asked(&self) -> bool {
        self.stop().is_some_and(StopSignal::is_set)
    }

    /// Fails if it has been asked to stop.
    pub(super) fn go_on(&self) -> Result<(), ContractError> {
        if self.is_asked() { Err(ContractError::Stopped) } else { Ok(()) }
    }

    /// Rests for so long; less if it is asked to stop meanwhile.
    pub(super) fn rest(&self, time: Duration) {
        match self.stop() {
            Some(stop) => stop.rest(time),
            None => std::thread::sleep(time),
        }
    }

    /// Does `work` in the open transaction, whose statements are cancelled when it is asked to stop.
    pub(super) fn interruptible<T>(
        &self,
        connection: &mut AnyConnection,
        work: impl FnOnce(&mut AnyConnection) -> T,
    ) -> Result<T, DbError> {
        let canceller = match &self.interrupt {
            Some(_) => dialect::read_transaction(connection).doing("asking who works here")?.canceller,
            None => None,
        };
        Ok(interruptible(canceller, self.interrupt.as_ref(), || work(connection)))
    }

    /// Tells an end that was asked for from a failure.
    pub(super) fn judge(&self, error: ContractError) -> ContractError {
        match error.as_db_error().map(DbError::fault) {
            Some(Fault::Cancelled) if self.is_asked() => ContractError::Stopped,
            _ => error,
        }
    }

    /// How many minutes ago a plan is taken to be made.
    #[cfg(feature = "test-support")]
    pub(super) fn minutes_ago(&self) -> i64 {
        i64::try_from(self.plan_age.as_secs() / 60).unwrap_or(i64::MAX)
    }

    #[cfg(not(feature = "test-support"))]
    #[allow(clippy::unused_self, reason = "with the feature it has something to tell")]
    pub(super) const fn minutes_ago(&self) -> i64 {
        0
    }

    /// The waivers, in the order of the gates.
    #[must_use]
    pub fn waivers(&self) -> &[Waiver] {
        &self.waivers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Gate;

    #[test]
    fn waivers_are_sorted_and_named_once() {
        let [stray, unknown] =
            [Gate::StrayValues, Gate::UnknownType].map(|gate| Waiver::new(gate, 1).unwrap());
        let options = DropOptions::default().waive([stray, unknown]).unwrap();
        assert_eq!(options.waivers(), [unknown, stray]);
        assert_eq!(options.waive([stray]).unwrap_err(), BadWaiver::Twice(Gate::StrayValues));
    }
}
