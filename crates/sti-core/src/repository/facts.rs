//! What the catalogue says of the schema, and which sides a mode therefore writes and reads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::sql_types::Bool;

use super::error::RepositoryError;
use super::write_mode::WriteMode;
use crate::db::statement::Statement;
use crate::db::{AnyConnection, DbError, catalog};
use crate::mapping::{LEGACY_COLUMNS, PARENT};
use crate::models::Kind;
use crate::subtype_rows::Values;

/// How old the last look at the catalogue may be while a drop has not been taken back in full.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// SQL: true while a drop is on record that has not been taken back in full. The restore must set `restored_at` only
/// when the columns are filled again, not when they are added: until then the subtype rows are the values.
pub(super) const DROP_OPEN: &str = "EXISTS (SELECT 1 FROM sti_drop_event WHERE restored_at IS NULL)";

/// The sides that a call writes, and the one that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    /// Legacy mode.
    LegacyOnly,
    /// Dual mode.
    BothReadLegacy,
    /// Subtype mode; and dual mode while re-added legacy columns are still being filled.
    BothReadSubtype,
    /// The legacy columns have been dropped.
    SubtypeOnly,
}

impl Sides {
    /// Whether legacy columns may be named.
    pub(super) const fn has_legacy(self) -> bool {
        !matches!(self, Self::SubtypeOnly)
    }

    /// Whether reads take the legacy columns.
    pub(super) const fn reads_legacy(self) -> bool {
        matches!(self, Self::LegacyOnly | Self::BothReadLegacy)
    }

    /// Where the values of a subtype row come from; `None` if no subtype row is written.
    pub(super) const fn row_values(self) -> Option<Values> {
        match self {
            Self::LegacyOnly => None,
            Self::BothReadLegacy => Some(Values::FromLegacy),
            Self::BothReadSubtype => Some(Values::NewFromLegacy),
            Self::SubtypeOnly => Some(Values::FieldsOnly),
        }
    }
}

/// What one look at the catalogue found, already checked against the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// All five legacy columns are there; otherwise none of them is.
    legacy: bool,
    /// [`DROP_OPEN`].
    drop_open: bool,
    /// By kind: its table is there.
    tables: [bool; 2],
    /// By kind: its pointer column is there.
    pointers: [bool; 2],
}

impl Facts {
    /// Reads the catalogue. A refusal is asked for twice: a whole restore between two statements of one look, or a drop,
    /// reads as what never was.
    pub(super) fn look(connection: &mut AnyConnection, mode: WriteMode) -> Result<Self, RepositoryError> {
        match Self::look_once(connection, mode) {
            Err(RepositoryError::SchemaNotReady { .. } | RepositoryError::LegacyColumnsGone) => {
                Self::look_once(connection, mode)
            }
            looked => looked,
        }
    }

    fn look_once(connection: &mut AnyConnection, mode: WriteMode) -> Result<Self, RepositoryError> {
        // The columns before the event: a drop that commits in between reads as "columns there, drop on record",
        // which the next statement corrects, and not as "columns gone, no drop on record", which is an error.
        let parent: Vec<String> =
            catalog::columns(connection, PARENT)?.into_iter().map(|column| column.name).collect();
        let mut tables = [false; 2];
        for kind in Kind::ALL {
            tables[kind as usize] = has_table(connection, kind.table())?;
        }
        let events = has_table(connection, "sti_drop_event")?;
        let drop_open = events && drop_is_open(connection)?;
        let pointers = Kind::ALL.map(|kind| parent.iter().any(|name| name == kind.pointer()));
        let found = Found { mode, parent: &parent, tables, events };
        Ok(Self { legacy: found.check(drop_open)?, drop_open, tables, pointers })
    }

    /// What `mode` writes and reads under these facts.
    pub(super) const fn sides(&self, mode: WriteMode) -> Sides {
        match (mode, self.legacy, self.drop_open) {
            (WriteMode::Legacy, ..) => Sides::LegacyOnly,
            (_, false, _) => Sides::SubtypeOnly,
            (WriteMode::Dual, true, false) => Sides::BothReadLegacy,
            (WriteMode::Dual, true, true) | (WriteMode::Subtype, true, _) => Sides::BothReadSubtype,
        }
    }

    /// The kinds whose table is there.
    pub(super) fn tables(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.tables[*kind as usize])
    }

    /// Whether both subtype tables are there.
    pub(super) fn has_all_tables(&self) -> bool {
        self.tables == [true; 2]
    }

    /// Whether the pointer column of `kind` is there.
    pub(super) const fn has_pointer(&self, kind: Kind) -> bool {
        self.pointers[kind as usize]
    }
}

/// What was found, on its way to a verdict.
struct Found<'a> {
    mode: WriteMode,
    parent: &'a [String],
    tables: [bool; 2],
    events: bool,
}

impl Found<'_> {
    /// Whether the legacy columns are there, or why the mode cannot work.
    fn check(&self, drop_open: bool) -> Result<bool, RepositoryError> {
        if self.parent.is_empty() {
            return self.refuse(format!("there is no table {PARENT}; run `sti-migrate up`"));
        }
        let missing: Vec<&str> = LEGACY_COLUMNS
            .into_iter()
            .filter(|column| !self.parent.iter().any(|name| name == column))
            .collect();
        let legacy = missing.is_empty();
        if !legacy && missing.len() < LEGACY_COLUMNS.len() {
            return self.refuse(format!(
                "of the five legacy columns of {PARENT}, {} are missing and the others are there; \
                 `sti-migrate status` shows what happened",
                missing.join(", ")
            ));
        }
        if self.mode == WriteMode::Legacy {
            return match (legacy, drop_open) {
                (true, false) => Ok(true),
                (true, true) => self.refuse(
                    "the legacy columns are back but not yet filled and verified; finish `sti-migrate restore-legacy`"
                        .into(),
                ),
                (false, _) => Err(RepositoryError::LegacyColumnsGone),
            };
        }
        let absent = Kind::ALL.into_iter().filter(|kind| !self.tables[*kind as usize]).map(Kind::table);
        let absent: Vec<&str> = absent.chain((!self.events).then_some("sti_drop_event")).collect();
        if !absent.is_empty() {
            return self.refuse(format!("there is no table {}; run `sti-migrate up`", absent.join(", ")));
        }
        if !legacy && !drop_open {
            return self.refuse(format!(
                "the legacy columns of {PARENT} are gone and sti_drop_event records no drop; \
                 `sti-migrate status` shows what happened"
            ));
        }
        Ok(legacy)
    }

    fn refuse(&self, problem: String) -> Result<bool, RepositoryError> {
        Err(RepositoryError::SchemaNotReady { mode: self.mode, problem })
    }
}

fn has_table(connection: &mut AnyConnection, table: &str) -> Result<bool, DbError> {
    Ok(!catalog::columns(connection, table)?.is_empty())
}

fn drop_is_open(connection: &mut AnyConnection) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        drop_open: bool,
    }
    let rows: Vec<Row> = Statement::new(format!("SELECT {DROP_OPEN} AS drop_open"))
        .load(connection, "reading sti_drop_event")?;
    Ok(rows.iter().any(|row| row.drop_open))
}

/// The facts that all clones of a repository share, and when they were found.
#[derive(Debug)]
pub(super) struct SharedFacts {
    last: Mutex<(Facts, Instant)>,
    /// The last facts that were found in an old snapshot of a host, for the calls in such snapshots alone.
    old: Mutex<Option<(Facts, Instant)>>,
    look_again_after: Duration,
}

impl SharedFacts {
    /// `asked_at`: when the look began that found `facts`; `None` if it was one in an old snapshot, so that the next call
    /// looks again.
    pub(super) fn new(facts: Facts, asked_at: Option<Instant>) -> Self {
        let now = Instant::now();
        let asked_at = asked_at.or_else(|| now.checked_sub(LOOK_AGAIN_AFTER)).unwrap_or(now);
        Self {
            last: Mutex::new((facts, asked_at)),
            old: Mutex::default(),
            look_again_after: LOOK_AGAIN_AFTER,
        }
    }

    #[cfg(feature = "test-support")]
    pub(super) fn looking_again_after(&self, interval: Duration) -> Self {
        Self { last: Mutex::new(*self.lock()), old: Mutex::default(), look_again_after: interval }
    }

    /// The last facts, and whether it is time to look again.
    pub(super) fn last(&self) -> (Facts, bool) {
        let (facts, looked_at) = *self.lock();
        (facts, facts.drop_open && looked_at.elapsed() >= self.look_again_after)
    }

    /// `asked_at`: when the look began. What has changed since is not in it.
    pub(super) fn set(&self, facts: Facts, asked_at: Instant) {
        *self.lock() = (facts, asked_at);
    }

    /// The facts of an old snapshot, if they were found of late.
    pub(super) fn last_old(&self) -> Option<Facts> {
        let old = *self.old.lock().unwrap_or_else(PoisonError::into_inner);
        old.filter(|(_, asked_at)| asked_at.elapsed() < self.look_again_after).map(|(facts, _)| facts)
    }

    pub(super) fn set_old(&self, facts: Facts, asked_at: Instant) {
        *self.old.lock().unwrap_or_else(PoisonError::into_inner) = Some((facts, asked_at));
    }

    /// The value is a plain copy: a thread that panicked while it held the lock left it whole.
    fn lock(&self) -> MutexGuard<'_, (Facts, Instant)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER_THE_DROP: Facts =
        Facts { legacy: false, drop_open: true, tables: [true; 2], pointers: [false; 2] };

    #[test]
    fn a_look_falls_due_within_five_seconds_of_the_last_one_and_only_after_a_drop() {
        let shared = SharedFacts::new(AFTER_THE_DROP, Some(Instant::now()));
        assert!(!shared.last().1);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
        shared.lock().1 = long_ago;
        assert!(shared.last().1);
        shared.set(AFTER_THE_DROP, Instant::now());
        assert!(!shared.last().1, "a look counts from when it began");
        *shared.lock() = (Facts { legacy: true, drop_open: false, ..AFTER_THE_DROP }, long_ago);
        assert!(!shared.last().1);
        assert!(SharedFacts::new(AFTER_THE_DROP, None).last().1, "found in an old snapshot");
    }

    #[test]
    fn the_facts_of_an_old_snapshot_are_apart_and_age_too() {
        let shared = SharedFacts::new(AFTER_THE_DROP, Some(Instant::now()));
        assert_eq!(shared.last_old(), None);
        let back = Facts { legacy: true, ..AFTER_THE_DROP };
        shared.set_old(back, Instant::now());
        assert_eq!((shared.last_old(), shared.last().0), (Some(back), AFTER_THE_DROP));
        shared.set_old(back, Instant::now().checked_sub(Duration::from_secs(5)).unwrap());
        assert_eq!(shared.last_old(), None);
    }

    #[test]
    fn the_sides_of_each_mode() {
        let facts = |legacy, drop_open| Facts { legacy, drop_open, ..AFTER_THE_DROP };
        for (mode, before, after, refilling) in [
            (WriteMode::Legacy, Sides::LegacyOnly, None, None),
            (WriteMode::Dual, Sides::BothReadLegacy, Some(Sides::SubtypeOnly), Some(Sides::BothReadSubtype)),
            (
                WriteMode::Subtype,
                Sides::BothReadSubtype,
                Some(Sides::SubtypeOnly),
                Some(Sides::BothReadSubtype),
            ),
        ] {
            assert_eq!(facts(true, false).sides(mode), before);
            for (expected, facts) in [(after, facts(false, true)), (refilling, facts(true, true))] {
                if let Some(expected) = expected {
                    assert_eq!(facts.sides(mode), expected, "{mode}");
                }
            }
        }
    }
}
