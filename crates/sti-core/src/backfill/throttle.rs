//! What makes a backfill wait between two chunks: a pause, a time of day, somebody who says stop, replication that
//! lags, a share of time to rest. While it waits it holds nothing: no lock, no lease, no transaction.

mod gate;
mod lag;
mod pace;
mod pause;
mod waits;
mod window;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use self::lag::LagMeter;
use self::pause::Told;
use self::waits::Waits;
use super::config::{BackfillConfig, StopSignal};
use super::ledger::RunId;
use crate::db::AnyConnection;
use crate::db::error::DbError;
use crate::db::sql_types::Timestamp;
use crate::observe::{Event, Observer};

pub use gate::Gate;
pub use pace::{InvalidPace, Pace};
pub use window::{InvalidWindow, Window};

/// How often a reason to wait is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A rest from this length on is told.
const LONG_REST: Duration = Duration::from_secs(10);

/// How often observers are told that it still waits.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// What a backfill waits for, beside a pause. May change between resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThrottleConfig {
    /// The longest time that a standby may be behind. PostgreSQL only. With a limit, a primary without a standby is a
    /// reason to wait, and so is a lag that cannot be read.
    pub max_lag: Option<Duration>,
    /// The time of day in which chunks begin.
    pub window: Option<Window>,
    /// The share of its time that each worker rests.
    pub pace: Pace,
}

/// Why a backfill waits. Its `Display` says how to go on, where somebody has to do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottleReason {
    /// Somebody paused it.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// When, by the database's clock.
        since: Timestamp,
    },
    /// It is not the time of day for it.
    Window {
        /// When it is.
        opens_at: DateTime<Utc>,
    },
    /// The gate says stop.
    Gate {
        /// Why.
        why: String,
    },
    /// A standby is too far behind.
    ReplicaLag {
        /// Its name, as `pg_stat_replication` has it.
        standby: String,
        /// How far.
        lag: Duration,
        /// How far it may be.
        limit: Duration,
    },
    /// There is a limit for the lag, and no standby.
    NoStandby,
    /// Something that decides about waiting cannot be read.
    Unreadable {
        /// What, and why not.
        what: String,
    },
    /// It rests, as it was told to.
    Pace,
}

impl ThrottleReason {
    /// The kind of reason in one word, as the ledger has it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Paused { .. } => "paused",
            Self::Window { .. } => "window",
            Self::Gate { .. } => "gate",
            Self::ReplicaLag { .. } | Self::NoStandby => "replica_lag",
            Self::Unreadable { .. } => "unreadable",
            Self::Pace => "pace",
        }
    }
}

impl fmt::Display for ThrottleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused { by, reason, since } => write!(
                f,
                "paused by {by} since {} ({reason}); `sti resume` lets it go on",
                since.0.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            Self::Window { opens_at } => {
                write!(f, "the window opens at {}", opens_at.format("%Y-%m-%d %H:%M:%S UTC"))
            }
            Self::Gate { why } => write!(f, "{why}; it goes on when the gate says go"),
            Self::ReplicaLag { standby, lag, limit } => write!(
                f,
                "standby {standby} is {:.1} s behind, more than {} s; it goes on when that is less",
                lag.as_secs_f64(),
                limit.as_secs_f64()
            ),
            Self::NoStandby => f.write_str(
                "no standby is connected, so nobody keeps up; it goes on when one is, or start it without --max-lag",
            ),
            Self::Unreadable { what } => write!(f, "{what}; it goes on when that can be read"),
            Self::Pace => f.write_str("resting, as --pace has it"),
        }
    }
}

/// The throttle of a process; its workers share it. One of them at a time looks, and waits for all.
pub(super) struct Throttle<'a> {
    config: ThrottleConfig,
    gate: Option<Gate>,
    run: RunId,
    stop: StopSignal,
    observer: &'a dyn Observer,
    turnstile: Mutex<Turnstile>,
}

struct Turnstile {
    lag: Option<LagMeter>,
    waits: Waits,
}

/// What a worker has worked since it was last let go.
#[derive(Debug, Default)]
pub(super) struct Turn(Duration);

impl Turn {
    /// It has committed a chunk, which took so long. What it waited for beside that is no work to rest from.
    pub(super) fn worked(&mut self, chunk: Option<Duration>) {
        self.0 += chunk.unwrap_or_default();
    }
}

impl<'a> Throttle<'a> {
    pub(super) fn new(
        config: &BackfillConfig,
        run: RunId,
        stop: StopSignal,
        observer: &'a dyn Observer,
    ) -> Self {
        let BackfillConfig { throttle, gate, owner, .. } = config;
        let waits = Waits::new(run, owner.to_string());
        let turnstile = Mutex::new(Turnstile { lag: throttle.max_lag.map(LagMeter::new), waits });
        Self { config: *throttle, gate: gate.clone(), run, stop, observer, turnstile }
    }

    /// Waits until a chunk may begin; returns also when the backfill is asked to stop, or the run has ended.
    ///
    /// # Errors
    /// What passes when it is tried again, as a lost connection.
    pub(super) fn before_chunk(
        &self,
        connection: &mut AnyConnection,
        turn: &mut Turn,
    ) -> Result<(), DbError> {
        self.rest(connection, turn);
        let mut turnstile = self.turnstile();
        let mut wait = None;
        let ended = self.wait(connection, &mut turnstile, &mut wait);
        if let Some(wait) = wait {
            self.end(connection, &mut turnstile, &wait);
        }
        ended
    }

    fn turnstile(&self) -> MutexGuard<'_, Turnstile> {
        self.turnstile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(
        &self,
        connection: &mut AnyConnection,
        turnstile: &mut Turnstile,
        wait: &mut Option<Wait>,
    ) -> Result<(), DbError> {
        while !self.stop.is_set() {
            let Some(reason) = self.look(connection, turnstile)? else { break };
            if let Some(other) = wait.take_if(|wait| wait.reason.kind() != reason.kind()) {
                self.end(connection, turnstile, &other);
            }
            let now = Instant::now();
            let begins = wait.is_none();
            let current = wait.get_or_insert_with(|| Wait { reason: reason.clone(), since: now, told: now });
            current.reason = reason;
            turnstile.waits.waiting(connection, &current.reason);
            if begins || current.told.elapsed() >= TELL_AGAIN {
                current.told = now;
                let waited = now.saturating_duration_since(current.since);
                self.observer.event(&Event::Throttled { reason: current.reason.clone(), waited });
            }
            self.stop.rest(LOOK_AGAIN);
        }
        Ok(())
    }

    fn end(&self, connection: &mut AnyConnection, turnstile: &mut Turnstile, wait: &Wait) {
        turnstile.waits.over(connection);
        let (reason, waited) = (wait.reason.clone(), wait.since.elapsed());
        self.observer.event(&Event::ThrottleEnded { reason, waited });
    }

    /// The first reason to wait that there is. Somebody's word comes first.
    fn look(
        &self,
        connection: &mut AnyConnection,
        turnstile: &mut Turnstile,
    ) -> Result<Option<ThrottleReason>, DbError> {
        match pause::look(connection, self.run)? {
            Told::RunOver => return Ok(None),
            Told::Wait(reason) => return Ok(Some(reason)),
            Told::Nothing => {}
        }
        if let Some(opens_at) = self.config.window.and_then(|window| window.opens_at(Utc::now())) {
            return Ok(Some(ThrottleReason::Window { opens_at }));
        }
        if let Some(why) = self.gate.as_ref().and_then(Gate::stops) {
            return Ok(Some(ThrottleReason::Gate { why }));
        }
        turnstile.lag.as_mut().map_or(Ok(None), |lag| lag.look(connection))
    }

    /// Rests after a chunk. A long rest is told, and seen from other terminals.
    fn rest(&self, connection: &mut AnyConnection, turn: &mut Turn) {
        let rest = self.config.pace.rest_after(std::mem::take(&mut turn.0));
        if rest.is_zero() {
            return;
        }
        let mut rested = Duration::ZERO;
        let is_long = rest >= LONG_REST;
        if is_long {
            self.observer.event(&Event::Throttled { reason: ThrottleReason::Pace, waited: Duration::ZERO });
        }
        let mut begins = true;
        while begins || !self.stop.is_set() && rested < rest {
            if is_long {
                // It may be held by a worker that waits for something else; that is no rest.
                self.turnstile().waits.resting(connection, begins);
            }
            begins = false;
            let begun = Instant::now();
            self.stop.rest(rest.saturating_sub(rested).min(LONG_REST));
            rested += begun.elapsed();
        }
        self.turnstile().waits.rested(connection, rested, is_long);
        if is_long {
            self.observer.event(&Event::ThrottleEnded { reason: ThrottleReason::Pace, waited: rested });
        }
    }
}

struct Wait {
    reason: ThrottleReason,
    since: Instant,
    told: Instant,
}
