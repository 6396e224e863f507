//! What passes by itself: rests, waits for the server, and how long a worker has patience.

use std::time::{Duration, Instant};

use super::Worker;
use crate::backfill::error::BackfillError;
use crate::backfill::lease::Lease;
use crate::backfill::remedy::Remedy;
use crate::db::{AnyConnection, retry};
use crate::observe::Event;

/// The longest rest between two tries to reach the server.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// How long a worker has not got on.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    tries: u32,
}

impl Trouble {
    /// It got on.
    pub(super) fn is_over(&mut self) {
        *self = Self::default();
    }

    /// How long it has lasted by now.
    fn lasts(&mut self) -> Duration {
        self.since.get_or_insert_with(Instant::now).elapsed()
    }
}

impl Worker<'_> {
    /// Runs a transaction of the ledger until it has succeeded; `None` when a stop was asked for meanwhile.
    pub(super) fn persist<T>(
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
        self.trouble.lasts() < self.engine.config.max_wait
    }

    /// Waits until a new connection is open. A server that takes connections and no writes is met here again and again.
    ///
    /// # Errors
    /// The last one, when patience ends or a stop is asked for.
    pub(super) fn wait_for_server(&mut self, mut error: BackfillError) -> Result<(), BackfillError> {
        let engine = self.engine;
        loop {
            let (waited, longest) = (self.trouble.lasts(), engine.config.max_wait);
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
                Err(refused) => error = refused.into(),
            }
            if engine.stop.is_set() {
                return Err(error);
            }
        }
    }
}
