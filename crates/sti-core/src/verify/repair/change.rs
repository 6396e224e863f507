//! What a repair changes, and the one place that decides what a project needs.

use crate::mapping::PARENT;
use crate::models::Kind;

use super::super::traits::Traits;
use crate::models::PerKind;

/// The side that is taken for right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The legacy columns are right: subtype rows are made to agree with them.
    Legacy,
    /// The subtype rows are right: the legacy columns are made to agree with them.
    Subtype,
}

impl Direction {
    /// The word for it, as in `--from legacy`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Subtype => "subtype",
        }
    }
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One kind of change to one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A project's own pointer at a row that goes is set to NULL.
    ClearPointer,
    /// A subtype row gets the legacy values.
    UpdateRow,
    /// Legacy columns that differ get the subtype row's values.
    UpdateLegacy,
    /// The right row is made from the legacy columns, where only the wrong one was there.
    CreateRow,
    /// A row of the wrong kind goes.
    DeleteRow,
    /// A row without a project goes.
    DeleteOrphan,
}

impl Change {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 6] = [
        Self::ClearPointer,
        Self::UpdateRow,
        Self::UpdateLegacy,
        Self::CreateRow,
        Self::DeleteRow,
        Self::DeleteOrphan,
    ];

    /// The change's name in `sti_repair_log.action`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClearPointer => "clear_pointer",
            Self::UpdateRow => "update_row",
            Self::UpdateLegacy => "update_legacy",
            Self::CreateRow => "create_row",
            Self::DeleteRow => "delete_row",
            Self::DeleteOrphan => "delete_orphan",
        }
    }

    /// The table that a change of this kind is made in; `kind` is the kind of the row, the pointer or the columns.
    #[must_use]
    pub const fn table(self, kind: Kind) -> &'static str {
        match self {
            Self::ClearPointer | Self::UpdateLegacy => PARENT,
            Self::UpdateRow | Self::CreateRow | Self::DeleteRow | Self::DeleteOrphan => kind.table(),
        }
    }

    /// Whether a subtype row goes, so that nothing may point at it.
    pub(super) const fn removes_row(self) -> bool {
        matches!(self, Self::DeleteRow | Self::DeleteOrphan)
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many changes of each kind, by the kind of row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts([PerKind; Change::ALL.len()]);

impl ChangeCounts {
    /// Every kind of change with its numbers, in the order of [`Change::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Change, PerKind)> {
        Change::ALL.into_iter().zip(self.0)
    }

    /// The numbers of one kind of change.
    #[must_use]
    pub fn of(&self, change: Change) -> PerKind {
        self.0[change as usize]
    }

    /// All changes.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.iter().map(PerKind::total).sum()
    }

    pub(super) fn add(&mut self, change: Change, kind: Kind, count: i64) {
        self.0[change as usize].add(kind, count);
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for (change, counts) in other.iter() {
            for kind in Kind::ALL {
                self.add(change, kind, counts.of(kind));
            }
        }
    }
}

/// The changes that a project with these traits needs. Projects of unknown type need none: which row they should
/// have is not known. A missing row is the backfill's, unless the wrong one is in its place.
pub(super) fn needed(direction: Direction, traits: Traits) -> Vec<(Change, Kind)> {
    let mut changes = Vec::new();
    let Some(kind) = traits.kind() else { return changes };
    let right = traits.has_row(kind);
    let wrong = traits.has_row(kind.other());
    let drifted = !traits.drifted().is_empty();
    match direction {
        Direction::Legacy => {
            if drifted {
                changes.push((Change::UpdateRow, kind));
            }
            if wrong && !right {
                changes.push((Change::CreateRow, kind));
            }
            if wrong {
                changes.push((Change::DeleteRow, kind.other()));
            }
        }
        Direction::Subtype => {
            if drifted {
                changes.push((Change::UpdateLegacy, kind));
            }
            if wrong && right {
                changes.push((Change::DeleteRow, kind.other()));
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_apart() {
        let mut counts = ChangeCounts::default();
        for (number, change) in (1..).zip(Change::ALL) {
            counts.add(change, Kind::School, number);
            assert_eq!(counts.of(change), PerKind { school: number, self_study: 0 });
        }
        assert_eq!(counts.total(), 21);
    }
}
