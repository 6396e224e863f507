//! What a repair would do now, and the digest that confirms exactly that.

use sha2::{Digest as _, Sha256};

use crate::db::{AnyConnection, identity, read_snapshot};
use crate::models::Kind;

use super::super::class::Class;
use super::super::error::VerifyError;
use super::super::samples::{ClassSample, samples};
use super::super::scan::{Scan, check_schema, scan};
use super::super::traits::Scope;
use super::super::watch::Watch;
use super::change::{Change, ChangeCounts, Direction, needed};
use super::pointers::{self, Pointer};

/// The version that a digest is good for.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a repair would do to the database as one snapshot shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairPlan {
    /// The side that is taken for right.
    pub direction: Direction,
    /// The changes.
    pub changes: ChangeCounts,
    /// What stays as it is.
    pub left: LeftAlone,
    /// The first projects of each class that a repair looks at, with the values of both sides.
    pub samples: Vec<ClassSample>,
    /// Pointers of other projects at rows that would go, at most [`pointers::MAX_POINTERS`] of each kind. While
    /// there is one, the repair is refused.
    pub pointers: Vec<Pointer>,
    /// What confirms this plan: 12 hex digits, the same as long as database, direction, version and changes are.
    pub digest: String,
}

/// Findings that a repair leaves alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftAlone {
    /// Projects without any subtype row: the backfill's work.
    pub missing: i64,
    /// Projects of unknown type with a subtype row: set `project_type` first.
    pub unknown_with_row: i64,
    /// Projects with a row of the wrong kind only, when the subtype rows are taken for right: there is no right
    /// row to copy from.
    pub wrong_kind: i64,
    /// Orphaned rows, when the subtype rows are taken for right.
    pub orphans: i64,
}

impl RepairPlan {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.total() == 0
    }
}

/// The plan of a repair. Reads one snapshot and changes nothing; `sample` as in
/// [`super::super::VerifyOptions::sample`].
///
/// # Errors
/// As [`super::super::verify`].
pub fn plan(
    connection: &mut AnyConnection,
    direction: Direction,
    sample: u32,
) -> Result<RepairPlan, VerifyError> {
    read_snapshot(connection, |connection| {
        check_schema(connection, Scope::Values)?;
        if direction == Direction::Legacy && crate::refilling::is_under_way(connection)? {
            return Err(VerifyError::Refilling);
        }
        let watch = Watch::default();
        let reading = watch.begin(connection)?;
        let scan = scan(connection, Scope::Values, &reading, &watch)?;
        let (mut changes, left) = fold(&scan, direction);
        let mut foreign = Vec::new();
        for kind in pointers::kinds_with_pointer(connection)? {
            changes.add(Change::ClearPointer, kind, pointers::count_own(connection, direction, kind)?);
            foreign.extend(pointers::foreign(connection, direction, kind)?);
        }
        let samples =
            samples(connection, &scan, &reading, &watch, sample, |class| concerns(direction, class))?;
        let digest = digest(&identity::identity(connection)?, direction, &changes);
        Ok(RepairPlan { direction, changes, left, samples, pointers: foreign, digest })
    })
}

fn fold(scan: &Scan, direction: Direction) -> (ChangeCounts, LeftAlone) {
    let mut changes = ChangeCounts::default();
    let mut left = LeftAlone::default();
    for &(traits, projects) in &scan.groups {
        let needed = needed(direction, traits);
        for (change, kind) in &needed {
            changes.add(*change, *kind, projects);
        }
        if traits.kind().is_none() {
            left.unknown_with_row += if traits.has_any_row() { projects } else { 0 };
        } else if Class::WrongKind.holds(traits) {
            left.wrong_kind += if needed.is_empty() { projects } else { 0 };
        } else if Class::Missing.holds(traits) || Class::MissingDraft.holds(traits) {
            left.missing += projects;
        }
    }
    match direction {
        Direction::Legacy => {
            for kind in Kind::ALL {
                changes.add(Change::DeleteOrphan, kind, scan.orphans.of(kind));
            }
        }
        Direction::Subtype => left.orphans = scan.orphans.total(),
    }
    (changes, left)
}

/// Whether a repair in this direction looks at projects of `class`.
fn concerns(direction: Direction, class: Class) -> bool {
    match class {
        Class::Drift | Class::BothKinds | Class::WrongKind => true,
        Class::OrphanSchool | Class::OrphanSelfStudy => direction == Direction::Legacy,
        _ => false,
    }
}

fn digest(identity: &str, direction: Direction, changes: &ChangeCounts) -> String {
    let changes = changes.iter().map(|(change, of)| format!("{change} {} {}\n", of.school, of.self_study));
    let changes: String = changes.collect();
    let hash = Sha256::digest(format!("sti repair\n{identity}\n{direction}\n{VERSION}\n{changes}"));
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_good_for_one_database_direction_and_set_of_changes() {
        let mut changes = ChangeCounts::default();
        changes.add(Change::UpdateRow, Kind::School, 1);
        let base = digest("sqlite /a", Direction::Legacy, &changes);
        assert_eq!(base.len(), 12);
        assert_eq!(base, digest("sqlite /a", Direction::Legacy, &changes));
        assert_ne!(base, digest("sqlite /b", Direction::Legacy, &changes));
        assert_ne!(base, digest("sqlite /a", Direction::Subtype, &changes));
        let mut other = ChangeCounts::default();
        other.add(Change::UpdateRow, Kind::SelfStudy, 1);
        assert_ne!(base, digest("sqlite /a", Direction::Legacy, &other));
    }
}
