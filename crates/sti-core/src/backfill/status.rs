//! How the backfill of a database stands, for those who only look: the run, its pace, who works on it, what it waits
//! for, and what is in its way.

mod read;

use std::time::Duration;

use super::control::Pause;
use super::last_run::{LastRun, RunState};
use crate::db::sql_types::Timestamp;

pub use read::StatusReader;

/// A process that has not been heard of for this long does not count as one that is there.
const HEARD_OF: Duration = Duration::from_secs(30);

/// The state of the backfill of a database, as of one snapshot.
#[derive(Clone, Debug)]
pub struct Status {
    /// When this was, by the database's clock.
    pub now: Timestamp,
    /// The pause that holds, if there is one.
    pub pause: Option<Pause>,
    /// The newest run, if there was one.
    pub run: Option<RunStatus>,
}

/// How the newest run stands.
#[derive(Clone, Debug)]
pub struct RunStatus {
    /// The run and its totals.
    pub run: LastRun,
    /// What all this comes to.
    pub condition: Condition,
    /// When a chunk was last committed.
    pub last_checkpoint: Option<Timestamp>,
    /// The pace of its newest chunks; `None` before the first.
    pub recent: Option<Recent>,
    /// The chunks that are cut and not done, oldest first.
    pub leases: Vec<LeaseStatus>,
    /// What its processes have waited for, by process and reason.
    pub waits: Vec<WaitStatus>,
    /// Quarantined projects by class, as the ledger names it.
    pub quarantined: Vec<(String, i64)>,
}

/// What a run's state comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Somebody works on it.
    Working,
    /// A process is there and waits for something.
    Waiting,
    /// Under way, and nobody works on it: it was stopped, or lost its process between two chunks.
    Stopped,
    /// A lease has run out and nobody has taken it over: its process was killed, or stands still.
    Stalled,
    /// Came to its end.
    Done,
    /// Stopped for good; the run's `stop_reason` says why.
    Failed,
    /// Given up; the run's `stop_reason` says by whom.
    GivenUp,
}

/// The newest chunks of a run: those of the last minute in which chunks were committed, at most 200.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recent {
    /// How many.
    pub chunks: i64,
    /// Projects in them.
    pub projects: i64,
    /// Projects a second, all workers together, from the begin of the first to the commit of the last.
    pub rate: f64,
    /// The mean time from BEGIN to COMMIT.
    pub mean: Duration,
    /// The longest.
    pub longest: Duration,
}

/// A chunk that is cut and not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Its sweep.
    pub sweep: i32,
    /// Its number in the sweep.
    pub number: i32,
    /// Who, as host/pid/nonce; empty for a chunk that was given back or put off, and is free.
    pub owner: String,
    /// Since when, where the ledger knows.
    pub since: Option<Timestamp>,
    /// When the lease runs out, unless it is done before.
    pub expires_at: Timestamp,
    /// It has run out: whoever comes next takes it over.
    pub expired: bool,
    /// How often it has been taken, this time included.
    pub attempts: i32,
}

/// What a process has waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitStatus {
    /// Which process, as host/pid/nonce.
    pub owner: String,
    /// The kind of reason, as [`super::ThrottleReason::kind`] has it.
    pub reason: String,
    /// How long, all waits for this together.
    pub waited: Duration,
    /// It waits now, as far as is known.
    pub waiting: bool,
    /// The reason in words, as it was last told.
    pub detail: String,
    /// When the last wait began.
    pub since: Timestamp,
}

impl LeaseStatus {
    /// Whether nobody holds it: whoever comes next takes it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.owner.is_empty()
    }
}

impl RunStatus {
    /// How long the run will take at its present pace, while somebody works on its first sweep.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let left = (self.run.eligible - self.run.totals.locked).max(0);
        let rate = self.recent.map(|recent| recent.rate).filter(|rate| *rate > 0.0)?;
        let sweeping = self.condition == Condition::Working && self.run.sweep == 1;
        sweeping.then(|| Duration::try_from_secs_f64(left as f64 / rate).ok()).flatten()
    }

    fn judge(&self, now: Timestamp) -> Condition {
        let young = |at: Timestamp| age(at, now) < HEARD_OF;
        match self.run.state {
            RunState::Done => Condition::Done,
            RunState::Failed => Condition::Failed,
            RunState::Abandoned => Condition::GivenUp,
            RunState::Active if self.leases.iter().any(|lease| !lease.expired && !lease.is_free()) => {
                Condition::Working
            }
            RunState::Active if self.waits.iter().any(|wait| wait.waiting) => Condition::Waiting,
            // Noted by the last process that went, and taken away by whoever takes the next chunk.
            RunState::Active if self.run.stop_reason.is_some() => Condition::Stopped,
            RunState::Active if self.last_checkpoint.is_some_and(young) => Condition::Working,
            RunState::Active if self.leases.iter().any(|lease| !lease.is_free()) => Condition::Stalled,
            RunState::Active if young(self.run.started_at) => Condition::Working,
            RunState::Active => Condition::Stopped,
        }
    }
}

/// How long ago `at` was; 0 for the future, which a clock that was set back makes.
#[must_use]
pub fn age(at: Timestamp, now: Timestamp) -> Duration {
    (now.0 - at.0).to_std().unwrap_or_default()
}
