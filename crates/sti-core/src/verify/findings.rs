//! The groups of a pass folded into classes.

use super::breakdown::{Breakdown, FieldCounts, Split};
use super::class::Class;
use super::scan::Scan;

/// How many projects, or orphaned rows, are in a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassCount {
    /// The class.
    pub class: Class,
    /// Projects, or for a class of orphans rows.
    pub total: i64,
    /// The projects by type and draft state; all 0 for orphans.
    pub projects: Breakdown,
    /// Those of the projects for which [`Class::fields`] names a column: of the missing and of the unknown type,
    /// those that hold a value which no subtype row holds.
    pub with_values: Split,
    /// For each legacy column, the projects in which it is one of [`Class::fields`].
    pub fields: FieldCounts,
}

/// What the legacy columns of all projects hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegacyProfile {
    /// NULLs in each column.
    pub nulls: FieldCounts,
    /// `''` in each column.
    pub empties: FieldCounts,
    /// Projects with a value in any of the columns.
    pub with_values: Breakdown,
}

pub(super) fn class_counts(scan: &Scan) -> Vec<ClassCount> {
    Class::ALL.map(|class| class_count(scan, class)).to_vec()
}

fn class_count(scan: &Scan, class: Class) -> ClassCount {
    let mut count = ClassCount {
        class,
        total: class.orphan_kind().map_or(0, |kind| scan.orphans.of(kind)),
        projects: Breakdown::default(),
        with_values: Split::default(),
        fields: FieldCounts::default(),
    };
    for &(traits, projects) in scan.groups.iter().filter(|(traits, _)| class.holds(*traits)) {
        count.total += projects;
        count.projects.add(traits.kind(), traits.is_draft(), projects);
        let fields = class.fields(traits);
        count.fields.add(fields, projects);
        if !fields.is_empty() {
            count.with_values.add(traits.is_draft(), projects);
        }
    }
    count
}

pub(super) fn legacy_profile(scan: &Scan) -> LegacyProfile {
    let mut profile = LegacyProfile::default();
    for &(traits, projects) in &scan.groups {
        profile.nulls.add(traits.nulls(), projects);
        profile.empties.add(traits.empties(), projects);
        if !traits.values().is_empty() {
            profile.with_values.add(traits.kind(), traits.is_draft(), projects);
        }
    }
    profile
}

/// Projects whose right row is there and equal in every column.
pub(super) fn in_sync(scan: &Scan) -> Breakdown {
    let mut in_sync = Breakdown::default();
    for &(traits, projects) in &scan.groups {
        if traits.has_right_row() && traits.drifted().is_empty() {
            in_sync.add(traits.kind(), traits.is_draft(), projects);
        }
    }
    in_sync
}

/// Projects with at least one finding, and orphaned rows.
pub(super) fn affected(scan: &Scan) -> i64 {
    let found = scan.groups.iter().filter(|(traits, _)| Class::any_finding(*traits));
    found.map(|(_, projects)| projects).sum::<i64>() + scan.orphans.total()
}
