//! What a retry of the quarantine has done, counted by project.

use std::collections::HashSet;

use crate::backfill::ledger::RunId;
use crate::backfill::totals::Totals;
use crate::models::ProjectId;

/// What a retry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Retried {
    /// What became of the projects, each counted once; `error` are those that are still refused.
    pub totals: Totals,
    /// Projects that are in quarantine no more because they were deleted, or became drafts that their run does not
    /// cover.
    pub gone: i64,
    /// Whether somebody asked it to stop before it had come to the end. The same call begins with the first one again.
    pub stopped: bool,
}

impl Retried {
    /// How many projects it has looked at: none, if the one that was asked for is not in quarantine.
    #[must_use]
    pub const fn tried(&self) -> i64 {
        self.totals.locked + self.gone
    }
}

/// What was done, by project: one that several runs had met is tried for each of them, and counted once.
#[derive(Default)]
pub(super) struct Tally {
    totals: Totals,
    pub held: HashSet<ProjectId>,
    gone: HashSet<ProjectId>,
}

impl Tally {
    pub(super) fn add(&mut self, done: Portion) {
        self.totals += done.totals;
        for project in &done.held {
            self.gone.remove(project);
        }
        self.held.extend(done.held);
        self.gone.extend(done.gone.into_iter().filter(|project| !self.held.contains(project)));
    }

    pub(super) fn retried(&self) -> Retried {
        Retried { totals: self.totals, gone: self.gone.len() as i64, stopped: false }
    }
}

/// What one transaction did, and the last entry that it looked at.
pub(super) struct Portion {
    /// Of the projects that no transaction before has held.
    pub totals: Totals,
    pub held: Vec<ProjectId>,
    pub gone: Vec<ProjectId>,
    pub last: (RunId, ProjectId),
}
