//! How far the split has come, in numbers: what the rollout plan's snippets print, and what they leave out.

use crate::db::{AnyConnection, read_snapshot};
use crate::models::Kind;

use super::breakdown::{Breakdown, Split};
use super::error::VerifyError;
use super::scan::{Scan, scan};
use super::traits::Scope;
use super::watch::Watch;
use crate::models::PerKind;

/// The counts of one snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// All projects, by type and draft state.
    pub projects: Breakdown,
    /// Rows of each subtype table, whoever they belong to.
    pub subtype_rows: PerKind,
    /// Projects that have the row of their own kind. `unknown` is always 0: such projects have no kind.
    pub covered: Breakdown,
    /// Projects that have any subtype row, the wrong one included.
    pub with_any_row: Split,
    /// Subtype rows of a kind that is not their project's; a project of unknown type makes any row one.
    pub rows_of_wrong_kind: PerKind,
    /// Subtype rows without a project.
    pub orphans: PerKind,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Coverage {
    /// How many are there.
    pub part: i64,
    /// How many there should be.
    pub whole: i64,
}

impl Coverage {
    /// The share in percent, from 0 (to more than 100, where the part is not one of the whole); `None` of nothing.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a percentage for display; the exact numbers stand beside it"
    )]
    pub fn percent(self) -> Option<f64> {
        (self.whole > 0).then(|| self.part as f64 * 100.0 / self.whole as f64)
    }
}

impl Counts {
    pub(super) fn of(scan: &Scan) -> Self {
        let mut counts = Self { subtype_rows: scan.rows, orphans: scan.orphans, ..Self::default() };
        for &(traits, projects) in &scan.groups {
            let (kind, is_draft) = (traits.kind(), traits.is_draft());
            counts.projects.add(kind, is_draft, projects);
            if traits.has_right_row() {
                counts.covered.add(kind, is_draft, projects);
            }
            if traits.has_any_row() {
                counts.with_any_row.add(is_draft, projects);
            }
            for row in Kind::ALL {
                if traits.has_row(row) && kind != Some(row) {
                    counts.rows_of_wrong_kind.add(row, projects);
                }
            }
        }
        counts
    }

    /// The plan's coverage: all subtype rows to all published projects. It counts, and never looks whose rows they
    /// are: rows of drafts, of the wrong kind, of both kinds and of no project make up for projects that have none,
    /// while projects of unknown type, which never get a row, keep it below 100 %.
    #[must_use]
    pub fn plan_coverage(&self) -> Coverage {
        Coverage { part: self.subtype_rows.total(), whole: self.projects.all().non_draft }
    }

    /// Coverage row by row: the projects of `kind` that have the row of their kind.
    #[must_use]
    pub fn coverage(&self, kind: Kind, is_draft: bool) -> Coverage {
        let of = |split: Split| if is_draft { split.draft } else { split.non_draft };
        Coverage { part: of(self.covered.of(Some(kind))), whole: of(self.projects.of(Some(kind))) }
    }

    /// Coverage row by row of both kinds together.
    #[must_use]
    pub fn coverage_of_known(&self, is_draft: bool) -> Coverage {
        let of = |split: Split| if is_draft { split.draft } else { split.non_draft };
        Coverage { part: of(self.covered.known()), whole: of(self.projects.known()) }
    }
}

/// Counts projects and subtype rows in one snapshot. Works with and without the legacy columns; takes no row locks.
///
/// # Errors
/// [`VerifyError`]: a table is missing, the pass was short, or whatever the database says.
pub fn counts(connection: &mut AnyConnection) -> Result<Counts, VerifyError> {
    read_snapshot(connection, |connection| {
        let watch = Watch::default();
        let reading = watch.begin(connection)?;
        Ok(Counts::of(&scan(connection, Scope::Structure, &reading, &watch)?))
    })
}
