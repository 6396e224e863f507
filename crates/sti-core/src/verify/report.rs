//! The answer of a verification, as a value.

use super::breakdown::Breakdown;
use super::class::{Class, Severity};
use super::coverage::Counts;
use super::findings::{ClassCount, LegacyProfile, affected, class_counts, in_sync, legacy_profile};
use super::samples::ClassSample;
use super::scan::Scan;
use crate::db::dialect::Standby;
use crate::db::{AnyConnection, DbError};
use crate::refilling;

/// What one snapshot of the database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Projects and subtype rows.
    pub counts: Counts,
    /// Every class in the order of [`Class::ALL`], those without a project included.
    pub classes: Vec<ClassCount>,
    /// Projects with at least one finding, each counted once, and orphaned rows.
    pub affected: i64,
    /// Projects whose right row is there and equal in every column.
    pub in_sync: Breakdown,
    /// What the legacy columns hold.
    pub legacy: LegacyProfile,
    /// The first projects of each class that has any; empty with a sample size of 0.
    pub samples: Vec<ClassSample>,
    /// Set if a standby was read: what the primary has committed since is not in here.
    pub standby: Option<Standby>,
    /// Set if there are findings while a drop is being taken back and the legacy columns are not all filled yet: the
    /// subtype rows are the right values then, and the end of the restore is what makes both sides agree.
    pub refilling: bool,
}

impl VerifyReport {
    /// In the transaction of the scan.
    pub(super) fn of(
        connection: &mut AnyConnection,
        scan: &Scan,
        samples: Vec<ClassSample>,
        standby: Option<Standby>,
    ) -> Result<Self, DbError> {
        let mut report = Self {
            counts: Counts::of(scan),
            classes: class_counts(scan),
            affected: affected(scan),
            in_sync: in_sync(scan),
            legacy: legacy_profile(scan),
            samples,
            standby,
            refilling: false,
        };
        report.refilling = !report.is_clean() && refilling::is_under_way(connection)?;
        Ok(report)
    }

    /// Whether there is no finding. Notices do not count.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.of_severity(Severity::Finding).all(|count| count.total == 0)
    }

    /// The classes of one severity.
    pub fn of_severity(&self, severity: Severity) -> impl Iterator<Item = &ClassCount> {
        self.classes.iter().filter(move |count| count.class.severity() == severity)
    }

    /// How many projects, or orphaned rows, are in `class`.
    #[must_use]
    pub fn count(&self, class: Class) -> i64 {
        self.classes.iter().filter(|count| count.class == class).map(|count| count.total).sum()
    }
}
