//! What is there before a step of a restore: columns, triggers, events.

use crate::contract::event::{DropEvent, events};
use crate::contract::restore::RestoreError;
use crate::contract::restore::levelled::{Levelled, levelled};
use crate::contract::restore::triggers::{Installed, installed};
use crate::db::catalog::{self, Column};
use crate::db::sql_types::Timestamp;
use crate::db::{AnyConnection, DbError, read_snapshot};
use crate::mapping::{LEGACY_COLUMNS, PARENT};

/// One look at the catalogue and at the events.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The columns of `projects_project`.
    pub(super) columns: Vec<Column>,
    /// The triggers of a restore.
    pub(super) triggers: Installed,
    /// Every drop on record.
    pub(super) events: Vec<DropEvent>,
}

/// What a restore has to do next.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// The columns are there, and no drop was ever made.
    Nothing,
    /// The last drop has been taken back.
    Restored(DropEvent),
    /// Columns or triggers are missing.
    Begin(DropEvent),
    /// Columns and triggers are there.
    Refill(DropEvent),
}

/// Every drop on record; none where our migrations have not made the tables.
pub(in crate::contract) fn recorded(connection: &mut AnyConnection) -> Result<Vec<DropEvent>, DbError> {
    // Made by the same migration as the columns of the event.
    let there = catalog::relation(connection, "sti_legacy_archive")?.is_some();
    if there { events(connection) } else { Ok(Vec::new()) }
}

impl State {
    /// Looks from outside a transaction. One snapshot for all of it: columns that are still missing beside an event that
    /// another process has closed meanwhile would look like a drop that is not on record.
    pub(super) fn snapshot(connection: &mut AnyConnection) -> Result<Self, DbError> {
        read_snapshot(connection, Self::look)
    }

    /// Looks in the open transaction.
    pub(super) fn look(connection: &mut AnyConnection) -> Result<Self, DbError> {
        let columns = catalog::columns(connection, PARENT)?;
        let events = recorded(connection)?;
        Ok(Self { columns, triggers: installed(connection)?, events })
    }

    /// The legacy columns that are not there.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let there = |name: &&str| self.columns.iter().any(|column| column.name == **name);
        LEGACY_COLUMNS.into_iter().filter(|name| !there(name)).collect()
    }

    /// When the columns came back after the last drop on record.
    pub(super) fn came_back_at(&self) -> Option<Timestamp> {
        self.events.last().and_then(|event| event.restore_began_at)
    }

    pub(super) fn next(&self) -> Result<Next, RestoreError> {
        if self.columns.is_empty() {
            return Err(RestoreError::NoTable);
        }
        let open: Vec<&DropEvent> = self.events.iter().filter(|event| event.is_open()).collect();
        let complete = self.missing().is_empty();
        match (open.as_slice(), self.events.last()) {
            ([], _) if !complete => Err(RestoreError::NoEvent),
            ([], None) => Ok(Next::Nothing),
            ([], Some(last)) => Ok(Next::Restored(last.clone())),
            ([event], _) if complete && self.triggers == Installed::Yes => Ok(Next::Refill((*event).clone())),
            ([event], _) => Ok(Next::Begin((*event).clone())),
            (several, _) => Err(RestoreError::SeveralOpen(several.iter().map(|event| event.id).collect())),
        }
    }
}

/// What a restore has left unfinished: a drop that is not restored and finished, or (`Some(None)`) triggers without one.
pub(crate) fn unfinished(connection: &mut AnyConnection) -> Result<Option<Option<i64>>, DbError> {
    let event = recorded(connection)?.into_iter().find(|event| event.finished_at.is_none());
    if let Some(event) = event {
        return Ok(Some(Some(event.id)));
    }
    Ok((installed(connection)? != Installed::No).then_some(None))
}

/// How far the drops on record have been taken back, for those who only look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Every drop on record, the oldest first.
    pub drops: Vec<DropEvent>,
    /// Whether all five legacy columns are there.
    pub columns: bool,
    /// The triggers of a restore.
    pub triggers: Installed,
    /// When a trigger last had something to level.
    pub levelled: Levelled,
}

impl Standing {
    /// The drop that has not been taken back, though its columns are there or have been.
    #[must_use]
    pub fn under_way(&self) -> Option<&DropEvent> {
        self.drops.iter().find(|drop| drop.is_open() && (self.columns || drop.restore_began_at.is_some()))
    }

    /// Whether everything has been taken back, and something is left to be finished.
    #[must_use]
    pub fn unfinished(&self) -> bool {
        let open = self.drops.iter().any(DropEvent::is_open);
        let finished = self.drops.iter().all(|drop| drop.finished_at.is_some());
        !open && (!finished || self.triggers != Installed::No)
    }
}

/// Looks. On a database without our tables there is nothing.
///
/// # Errors
/// Whatever the database says.
pub fn standing(connection: &mut AnyConnection) -> Result<Standing, DbError> {
    read_snapshot(connection, |connection| {
        let state = State::look(connection)?;
        Ok(Standing {
            columns: state.missing().is_empty(),
            drops: state.events,
            triggers: state.triggers,
            levelled: levelled(connection)?,
        })
    })
}
