//! Work in chunks, each of them a transaction: what it tells on its way, and how it is asked to stop between two.

use std::time::Duration;

use crate::backfill::StopSignal;
use crate::db::error::{DbError, Fault};
use crate::db::retry;
use crate::expand::Retry;

/// What work in chunks tells on its way.
#[derive(Clone, Debug)]
pub enum ChunkEvent {
    /// The plan holds, and the first chunk begins.
    Begun {
        /// How many rows, changes or projects there are to be done.
        of: i64,
    },
    /// A chunk was committed.
    Committed {
        /// How many rows, changes or projects the call has done so far.
        done: i64,
    },
    /// A transaction was rolled back, and is run again after a rest.
    Retried(Retry),
}

/// How work in chunks is watched.
pub(crate) struct Watch<'w> {
    stop: &'w StopSignal,
    tell: &'w mut dyn FnMut(&ChunkEvent),
}

impl<'w> Watch<'w> {
    pub(crate) fn new(stop: &'w StopSignal, tell: &'w mut dyn FnMut(&ChunkEvent)) -> Self {
        Self { stop, tell }
    }

    /// Whether it has been asked to stop.
    pub(crate) fn is_asked(&self) -> bool {
        self.stop.is_set()
    }

    /// The signal itself.
    pub(crate) const fn stop(&self) -> &'w StopSignal {
        self.stop
    }

    pub(crate) fn begun(&mut self, of: i64) {
        (self.tell)(&ChunkEvent::Begun { of });
    }

    pub(crate) fn committed(&mut self, done: i64) {
        (self.tell)(&ChunkEvent::Committed { done });
    }

    pub(crate) fn retried(&mut self, retry: &Retry) {
        (self.tell)(&ChunkEvent::Retried(retry.clone()));
    }
}

/// The retries of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Retries(u32);

/// What to do with a transaction that was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Run it again; the rest before it is over.
    Again,
    /// Leave it: it was asked to stop.
    Stop,
    /// Give up: the error does not pass, or has not.
    Fail,
}

impl Retries {
    /// Decides, tells of a retry, and rests before it. `lost`: the connection was lost at COMMIT, and nothing of the
    /// transaction is there.
    pub(crate) fn after(&mut self, error: &DbError, lost: bool, watch: &mut Watch<'_>) -> Then {
        if !(lost || passes(error)) {
            return Then::Fail;
        }
        if watch.is_asked() {
            return Then::Stop;
        }
        if self.0 >= retry::RETRIES {
            return Then::Fail;
        }
        self.0 += 1;
        let rest: Duration = retry::rest(self.0);
        let (attempts, reason) = (retry::RETRIES + 1, error.to_string());
        watch.retried(&Retry { attempt: self.0, attempts, reason, holders: Vec::new(), rest });
        watch.stop.rest(rest);
        Then::Again
    }
}

/// Whether the same transaction may well succeed when it is run again.
pub(crate) fn passes(error: &DbError) -> bool {
    matches!(error.fault(), Fault::Transient | Fault::LockTimeout | Fault::StatementTimeout)
}
