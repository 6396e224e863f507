//! What passes by itself: rests, waits for the server, and how long a worker has patience.

use std::time::{Duration, Instant};

use super::Worker;
use crate::backfill::error::BackfillError;
use crate::backfill::lease::Lease;
use crate::backfill::remedy::Remedy;
use crate::db::{AnyConnection, ConnectError, retry};
use crate::observe::Event;

/// What a round of tries may take (five retries of a transaction, each with the longest wait for a lock and its rest): trouble
/// that was not met for no longer than this goes on.
const ROUND: Duration = Duration::from_secs(60);

/// The longest rest between two tries to reach the server.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// How long a worker has not got on.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    /// When it was last met.
    met: Option<Instant>,
    tries: u32,
}

impl Trouble {
    /// It got on.
    pub(super) fn is_over(&mut self) {
        *self = Self::default();
    }

    /// How long it has lasted `now`. One that was not met again for as long as it is waited for, and for a round of tries, is
    /// over, though no chunk has come of it: the backfill was paused, or outside of its window, or waits for the last
    /// chunk of somebody else.
    fn lasts(&mut self, now: Instant, longest: Duration) -> Duration {
        if self.met.is_some_and(|met| now.saturating_duration_since(met) > longest.max(ROUND)) {
            self.is_over();
        }
        self.met = Some(now);
        now.saturating_duration_since(*self.since.get_or_insert(now))
    }

    /// It is met still: a try to get over it may take long.
    fn goes_on(&mut self, now: Instant) {
        self.met = Some(now);
    }
}

impl Worker<'_> {
    /// Runs a transaction of the ledger until it has succeeded; `None` when a stop was asked for meanwhile.
    pub(in crate::backfill) fn persist<T>(
        &mut self,
        mut work: impl FnMut(&mut AnyConnection) -> Result<T, BackfillError>,
    ) -> Result<Option<T>, BackfillError> {
        let mut retried = 0;
        loop {
            let error = match work(&mut self.connection) {
                Ok(value) => return Ok(Some(value)),
                Err(error) => error,
            };
            match Remedy::of(error.fault(), retried) {
                Remedy::Again => {
                    retried += 1;
                    self.rest(None, retried, &error);
                }
                Remedy::Postpone if self.has_patience() => self.rest(None, retried, &error),
                Remedy::Wait => self.wait_for_server(error)?,
                Remedy::Postpone | Remedy::Bisect | Remedy::Halve | Remedy::Stop => return Err(error),
            }
            if self.engine.stop.is_set() {
                return Ok(None);
            }
        }
    }

    /// Rests before a transaction is run again: that of a chunk, or one of the ledger's own.
    pub(super) fn rest(&self, chunk: Option<&Lease>, retried: u32, error: &BackfillError) {
        let rest = retry::rest(retried);
        let (fault, reason) = (error.fault(), error.to_string());
        self.engine.observer.event(&match chunk {
            Some(&Lease { sweep, number, .. }) => {
                Event::ChunkRetried { sweep, number, retry: retried, fault, reason, rest }
            }
            None => Event::LedgerRetried { retry: retried, fault, reason, rest },
        });
        self.engine.stop.rest(rest);
    }

    /// Whether it may go on waiting for what passes by itself.
    pub(super) fn has_patience(&mut self) -> bool {
        let longest = self.engine.config.max_wait;
        self.trouble.lasts(Instant::now(), longest) < longest
    }

    /// Waits until a new connection is open. A server that takes connections and no writes is met here again and again.
    ///
    /// # Errors
    /// The last one, when patience ends or a stop is asked for.
    pub(super) fn wait_for_server(&mut self, mut error: BackfillError) -> Result<(), BackfillError> {
        let engine = self.engine;
        loop {
            let longest = engine.config.max_wait;
            let waited = self.trouble.lasts(Instant::now(), longest);
            if waited >= longest {
                return Err(error);
            }
            self.trouble.tries += 1;
            let reason = error.to_string();
            engine.observer.event(&Event::WaitingForServer { reason, waited, longest });
            let rest = if self.trouble.tries > 5 { LONGEST_REST } else { retry::rest(self.trouble.tries) };
            engine.stop.rest(rest.min(longest.saturating_sub(waited)));
            match (engine.connect)() {
                Ok(opened) => {
                    self.connection = opened;
                    return Ok(());
                }
                // It is back, and it is no server for us.
                Err(refused @ ConnectError::ForeignMessages { .. }) => return Err(refused.into()),
                Err(refused) => {
                    self.trouble.goes_on(Instant::now());
                    error = refused.into();
                }
            }
            if engine.stop.is_set() {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(600);

    #[test]
    fn trouble_lasts_from_its_first_moment_until_a_chunk_is_committed() {
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        let lasts = |trouble: &mut Trouble, second| {
            trouble.lasts(begun + Duration::from_secs(second), LONGEST).as_secs()
        };
        assert_eq!([0, 5, 300, 599, 700].map(|second| lasts(&mut trouble, second)), [0, 5, 300, 599, 700]);
        trouble.is_over();
        assert_eq!(lasts(&mut trouble, 701), 0);
    }

    /// Two restarts of the server in one long pause are no trouble of hours.
    #[test]
    fn trouble_that_was_not_met_for_long_is_over() {
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        let second = |second| begun + Duration::from_secs(second);
        assert_eq!(trouble.lasts(second(0), LONGEST), Duration::ZERO);
        assert_eq!(trouble.lasts(second(10_000), LONGEST), Duration::ZERO);
        assert_eq!(trouble.lasts(second(10_005), LONGEST), Duration::from_secs(5));
    }

    /// A round of tries takes longer than a short patience: that is no reason to begin to count anew.
    #[test]
    fn a_patience_that_is_shorter_than_a_round_ends_all_the_same() {
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        let second = |second| begun + Duration::from_secs(second);
        let short = Duration::from_secs(3);
        assert_eq!(trouble.lasts(second(0), short), Duration::ZERO);
        assert_eq!(trouble.lasts(second(35), short), Duration::from_secs(35));
    }

    /// A try that takes longer than the patience is no rest.
    #[test]
    fn a_long_try_does_not_end_it() {
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        let second = |second| begun + Duration::from_secs(second);
        assert_eq!(trouble.lasts(second(0), LONGEST), Duration::ZERO);
        trouble.goes_on(second(900));
        assert_eq!(trouble.lasts(second(900), LONGEST), Duration::from_secs(900));
    }
}
