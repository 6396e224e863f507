//! What a backfill did, by outcome and kind.

use crate::models::Kind;
use crate::subtype_rows::fill::Outcome;

/// A count for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PerKind {
    /// School projects.
    pub school: i64,
    /// Self-study projects.
    pub self_study: i64,
}

impl PerKind {
    /// The count of one kind.
    #[must_use]
    pub const fn of(self, kind: Kind) -> i64 {
        match kind {
            Kind::School => self.school,
            Kind::SelfStudy => self.self_study,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn sum(self) -> i64 {
        self.school + self.self_study
    }
}

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
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        let add = |a: &mut PerKind, b: PerKind| {
            a.school += b.school;
            a.self_study += b.self_study;
        };
        self.locked += other.locked;
        self.unknown += other.unknown;
        add(&mut self.created, other.created);
        add(&mut self.equal, other.equal);
        add(&mut self.conflict, other.conflict);
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
        }
    }
}
