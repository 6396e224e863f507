//! What a backfill is told to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::scope::Scope;
use crate::probe::Probe;

/// Projects in a chunk: 1 to 50,000. A chunk's projects are locked together until it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize(u32);

/// A number that is no chunk size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is no chunk size: expected 1 to {max} projects", max = ChunkSize::MAX)]
pub struct InvalidChunkSize(u32);

impl ChunkSize {
    /// The greatest chunk: its locks would be felt beyond it.
    pub const MAX: u32 = 50_000;

    /// Checks a chunk size.
    ///
    /// # Errors
    /// 0, or more than [`ChunkSize::MAX`].
    pub const fn new(projects: u32) -> Result<Self, InvalidChunkSize> {
        if projects == 0 || projects > Self::MAX {
            Err(InvalidChunkSize(projects))
        } else {
            Ok(Self(projects))
        }
    }

    /// The number of projects.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self(1000)
    }
}

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
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// Asks.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it has been asked.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for a signal handler to set.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// What a backfill is told to do; see [`super::Backfill`].
#[derive(Clone, Debug)]
pub struct BackfillConfig {
    /// Which projects. Binds a resume.
    pub scope: Scope,
    /// How many projects a chunk locks. May change between resumes.
    pub chunk: ChunkSize,
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
    /// Non-draft projects in chunks of the default size.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            scope: Scope::default(),
            chunk: ChunkSize::default(),
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
    fn chunk_sizes_have_bounds() {
        assert_eq!(
            ChunkSize::new(0).unwrap_err().to_string(),
            "0 is no chunk size: expected 1 to 50000 projects"
        );
        assert!(ChunkSize::new(50_001).is_err());
        assert_eq!(ChunkSize::new(1).unwrap().get(), 1);
    }

    #[test]
    fn only_a_process_of_this_machine_can_be_known_to_be_dead() {
        let me = Owner::this_process("ship");
        assert!(!me.knows_to_be_dead(&me.to_string()), "this process lives");
        assert!(!me.knows_to_be_dead("elsewhere/999999999/x"), "another machine's processes are not seen");
        assert!(!me.knows_to_be_dead("garbage"));
        assert!(me.knows_to_be_dead(&format!("ship/{}/x", me.pid)), "the same id, an earlier process");
        assert!(me.knows_to_be_dead("ship/999999999/x"), "no such process");
    }
}
