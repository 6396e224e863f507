//! What a backfill did, by outcome and kind.

use super::careful::Filled;
use crate::models::PerKind;
use crate::subtype_rows::fill::Outcome;

/// Projects by outcome. Each project of a committed chunk is in exactly one of the counts, and `locked` is their
/// sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Projects that were looked at under their lock.
    pub locked: i64,
    /// Their row was missing and is there now.
    pub created: PerKind,
    /// Their row was there and agrees with the legacy columns.
    pub equal: PerKind,
    /// Their row was there and differs from the legacy columns. It was left as it is.
    pub conflict: PerKind,
    /// Their type has no subtype table.
    pub unknown: i64,
    /// The database refused their row; they are in quarantine. Below 0 in a chunk that took more out of it.
    pub error: PerKind,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.locked += other.locked;
        self.unknown += other.unknown;
        self.created += other.created;
        self.equal += other.equal;
        self.conflict += other.conflict;
        self.error += other.error;
    }
}

impl From<Outcome> for Totals {
    fn from(o: Outcome) -> Self {
        Self {
            locked: o.locked,
            created: PerKind { school: o.created_school, self_study: o.created_self_study },
            equal: PerKind { school: o.equal_school, self_study: o.equal_self_study },
            conflict: PerKind { school: o.conflict_school, self_study: o.conflict_self_study },
            unknown: o.unknown,
            error: PerKind::default(),
        }
    }
}

impl From<&Filled> for Totals {
    fn from(filled: &Filled) -> Self {
        let mut totals = Self::from(filled.outcome);
        for refused in &filled.refused {
            totals.error.add(refused.kind, 1);
            totals.locked += 1;
        }
        totals
    }
}
