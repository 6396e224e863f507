//! A figure for each kind.

use super::Kind;

/// A figure for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PerKind {
    /// For `school`.
    pub school: i64,
    /// For `self_study`.
    pub self_study: i64,
}

impl PerKind {
    /// The figure of one kind.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> i64 {
        match kind {
            Kind::School => self.school,
            Kind::SelfStudy => self.self_study,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.school + self.self_study
    }

    pub(crate) const fn add(&mut self, kind: Kind, count: i64) {
        *(match kind {
            Kind::School => &mut self.school,
            Kind::SelfStudy => &mut self.self_study,
        }) += count;
    }
}

impl std::ops::AddAssign for PerKind {
    fn add_assign(&mut self, other: Self) {
        self.school += other.school;
        self.self_study += other.self_study;
    }
}
