//! Figures split by draft state and by kind.

use std::ops::AddAssign;

use crate::mapping::LEGACY_COLUMNS;
use crate::models::Kind;

/// A number of projects, split by draft state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Split {
    /// Projects that are published.
    pub non_draft: i64,
    /// Projects that are drafts.
    pub draft: i64,
}

impl Split {
    /// Both together.
    #[must_use]
    pub const fn total(self) -> i64 {
        self.non_draft + self.draft
    }

    pub(super) fn add(&mut self, is_draft: bool, projects: i64) {
        *(if is_draft { &mut self.draft } else { &mut self.non_draft }) += projects;
    }
}

impl AddAssign for Split {
    fn add_assign(&mut self, other: Self) {
        self.non_draft += other.non_draft;
        self.draft += other.draft;
    }
}

/// A number of projects, split by the text in `project_type` and by draft state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Breakdown {
    /// Projects whose type is exactly `school`.
    pub school: Split,
    /// Projects whose type is exactly `self_study`.
    pub self_study: Split,
    /// Projects with any other type, `SCHOOL` and the empty one included.
    pub unknown: Split,
}

impl Breakdown {
    /// The projects of one kind; `None` for those of unknown type.
    #[must_use]
    pub const fn of(&self, kind: Option<Kind>) -> Split {
        match kind {
            Some(Kind::School) => self.school,
            Some(Kind::SelfStudy) => self.self_study,
            None => self.unknown,
        }
    }

    /// The projects of both known kinds.
    #[must_use]
    pub fn known(&self) -> Split {
        let mut sum = self.school;
        sum += self.self_study;
        sum
    }

    /// All projects.
    #[must_use]
    pub fn all(&self) -> Split {
        let mut sum = self.known();
        sum += self.unknown;
        sum
    }

    /// All projects, whatever their kind and state.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.all().total()
    }

    pub(super) fn add(&mut self, kind: Option<Kind>, is_draft: bool, projects: i64) {
        match kind {
            Some(Kind::School) => &mut self.school,
            Some(Kind::SelfStudy) => &mut self.self_study,
            None => &mut self.unknown,
        }
        .add(is_draft, projects);
    }
}

/// A figure for each legacy column, in the order of [`LEGACY_COLUMNS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldCounts([i64; LEGACY_COLUMNS.len()]);

impl FieldCounts {
    /// Each column with its figure.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, i64)> {
        LEGACY_COLUMNS.into_iter().zip(self.0)
    }

    pub(super) fn add(&mut self, fields: super::Fields, count: i64) {
        for field in fields.indices() {
            self.0[field] += count;
        }
    }
}
