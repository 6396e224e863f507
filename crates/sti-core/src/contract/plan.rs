//! The plan of a drop: what was found, and what confirms it.

use std::time::Duration;

use super::gate::{Gate, GateResult};
use super::waiver::Waiver;
use crate::db::dialect::SessionSeen;
use crate::verify::Counts;

/// How long the digest of a plan is good for.
pub const VALID: Duration = Duration::from_secs(24 * 60 * 60);

/// What a drop would do to the database as one snapshot shows it, and whether it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropPlan {
    /// Which database this is, as [`crate::db::identity::identity`] says it.
    pub identity: String,
    /// 12 hex digits, the same as long as the columns of the three tables and our migrations are.
    pub schema: String,
    /// The statements that make the five columns again as they are now, in order: the columns first, then comments
    /// and privileges.
    pub definitions: Vec<String>,
    /// Every gate, in the order of [`Gate::ALL`]; without [`Gate::Quarantine`] where there is no such table.
    pub gates: Vec<GateResult>,
    /// The waivers, in the order of the gates.
    pub waivers: Vec<Waiver>,
    /// Projects and subtype rows; `None` where the schema cannot be read.
    pub counts: Option<Counts>,
    /// The other sessions of this database, as evidence of who still uses it. Empty on SQLite.
    pub sessions: Vec<SessionSeen>,
    /// Rows that the archive gets: one for each project.
    pub archive_rows: i64,
    /// How long the locks would be held; `None` where that does not depend on the table (PostgreSQL), and where the
    /// schema cannot be read.
    pub estimate: Option<LockEstimate>,
    /// The longest time under the locks; on SQLite the longest that [`LockEstimate::total`] may be.
    pub max_lock: Duration,
    /// What confirms this plan: 12 hex digits. It covers the database, the schema, the verdicts, the waivers with
    /// their counts and the version of this library, no live totals; it is good for [`VALID`], by the database's
    /// clock.
    pub digest: String,
    /// How to take the drop back, in order: what to type, and what it does.
    pub way_back: Vec<String>,
}

impl DropPlan {
    /// Whether no gate refuses.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.gates.iter().all(|result| result.verdict.is_open())
    }

    /// The gates that refuse, or could not be asked.
    pub fn shut(&self) -> impl Iterator<Item = &GateResult> {
        self.gates.iter().filter(|result| !result.verdict.is_open())
    }

    /// What a gate found; `None` for [`Gate::Quarantine`] where there is no such table.
    #[must_use]
    pub fn gate(&self, gate: Gate) -> Option<&GateResult> {
        self.gates.iter().find(|result| result.gate == gate)
    }
}

/// How long the locks would be held, and why we think so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockEstimate {
    /// Comparing both sides of every project again: as long as it took for this plan.
    pub compare: Duration,
    /// Archiving every project.
    pub archive: Duration,
    /// Dropping the columns.
    pub drop: Duration,
    /// What the figures are based on, in words.
    pub basis: String,
}

impl LockEstimate {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.compare + self.archive + self.drop
    }
}
