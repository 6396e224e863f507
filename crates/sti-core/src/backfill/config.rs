//! What a backfill is told to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error_rate::ErrorRate;
use super::scope::Scope;
use super::size::Sizing;
use super::throttle::{Gate, ThrottleConfig};
use crate::probe::Probe;

/// Who works on a chunk, as the ledger names it: host, process id, and a nonce that tells two processes with the
/// same id apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    host: String,
    pid: u32,
    nonce: String,
}

impl Owner {
    /// This process on the machine called `host`.
    #[must_use]
    pub fn this_process(host: &str) -> Self {
        let nonce = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        Self { host: host.replace('/', "_"), pid: std::process::id(), nonce }
    }

    /// Whether `other`, as the ledger has it, was a process of this machine that is no more. Errs on the side of
    /// "it lives": its lease then runs out by itself. A wrong "it is dead" costs work, never a row: the old owner's
    /// token no longer commits.
    pub(super) fn knows_to_be_dead(&self, other: &str) -> bool {
        let mut parts = other.split('/');
        let (Some(host), Some(pid), Some(nonce)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        if host != self.host {
            return false;
        }
        if pid == self.pid.to_string() {
            return nonce != self.nonce;
        }
        let processes = std::path::Path::new("/proc");
        processes.join("self").exists() && !processes.join(pid).exists()
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.pid, self.nonce)
    }
}

/// Asks a backfill to stop after the chunk that is under way. Clones are the same signal.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    asked: Arc<AtomicBool>,
    /// A signal that counts as this one.
    above: Option<Arc<AtomicBool>>,
}

impl StopSignal {
    /// Asks.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// A signal that is set with this one, and can be set without it.
    pub(super) fn below(&self) -> Self {
        Self { asked: Arc::default(), above: Some(Arc::clone(&self.asked)) }
    }

    /// Rests for so long; less if it is set in the meantime.
    pub fn rest(&self, time: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        let begun = Instant::now();
        while !self.is_set() {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(STEP));
        }
    }

    /// Whether it has been asked.
    #[must_use]
    pub fn is_set(&self) -> bool {
        let set = |flag: &Arc<AtomicBool>| flag.load(Ordering::SeqCst);
        set(&self.asked) || self.above.as_ref().is_some_and(set)
    }

    /// The flag itself, for a signal handler to set.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }
}

/// What a backfill is told to do; see [`super::Backfill`].
#[derive(Clone, Debug)]
pub struct BackfillConfig {
    /// Which projects. Binds a resume.
    pub scope: Scope,
    /// How many projects a chunk locks. May change between resumes.
    pub sizing: Sizing,
    /// How many chunks are worked on at a time, each on a thread and a connection of its own; 0 counts as 1. SQLite
    /// has one writer at a time, so it is always one there. May change between resumes.
    pub workers: usize,
    /// What it waits for between chunks.
    pub throttle: ThrottleConfig,
    /// Somebody else whose word it waits for, too. May change between resumes.
    pub gate: Option<Gate>,
    /// How long a worker that does not get on waits for what passes by itself: a server that is away or takes no
    /// writes, a lock that somebody holds. Each committed chunk begins it anew.
    pub max_wait: Duration,
    /// More errors than this stop the backfill.
    pub max_error_rate: ErrorRate,
    /// Gives up the run that is under way, if there is one, and begins anew.
    pub restart: bool,
    /// Who does it.
    pub owner: Owner,
    /// Stops it.
    pub stop: StopSignal,
    /// The version of the tool, for the ledger.
    pub tool_version: String,
    /// For tests.
    #[doc(hidden)]
    pub probe: Probe,
}

impl BackfillConfig {
    /// Non-draft projects, one worker, chunks of 250 ms.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            scope: Scope::default(),
            sizing: Sizing::default(),
            workers: 1,
            throttle: ThrottleConfig::default(),
            gate: None,
            max_wait: Duration::from_secs(600),
            max_error_rate: ErrorRate::default(),
            restart: false,
            owner,
            stop: StopSignal::default(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            probe: Probe::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_machine_can_be_known_to_be_dead() {
        let me = Owner::this_process("ship");
        assert!(!me.knows_to_be_dead(&me.to_string()), "this process lives");
        assert!(!me.knows_to_be_dead("elsewhere/999999999/x"), "another machine's processes are not seen");
        assert!(!me.knows_to_be_dead("garbage"));
        assert!(me.knows_to_be_dead(&format!("ship/{}/x", me.pid)), "the same id, an earlier process");
        assert!(me.knows_to_be_dead("ship/999999999/x"), "no such process");
    }

    #[test]
    fn a_signal_below_is_set_with_the_one_above_it_and_not_the_other_way() {
        let above = StopSignal::default();
        let (below, beside) = (above.below(), above.below());
        below.stop();
        assert!(below.is_set() && !above.is_set() && !beside.is_set());
        above.stop();
        assert!(beside.is_set());
        beside.rest(Duration::from_secs(3600));
    }
}
