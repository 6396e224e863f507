//! What is there before a step of a restore: columns, triggers, events.

use crate::contract::event::{DropEvent, events};
use crate::contract::restore::RestoreError;
use crate::contract::restore::triggers::{Installed, installed};
use crate::db::catalog::{self, Column};
use crate::db::{AnyConnection, DbError};
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

impl State {
    pub(super) fn look(connection: &mut AnyConnection) -> Result<Self, DbError> {
        let columns = catalog::columns(connection, PARENT)?;
        let recorded = catalog::relation(connection, "sti_drop_event")?.is_some();
        let events = if recorded { events(connection)? } else { Vec::new() };
        Ok(Self { columns, triggers: installed(connection)?, events })
    }

    /// The legacy columns that are not there.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let there = |name: &&str| self.columns.iter().any(|column| column.name == **name);
        LEGACY_COLUMNS.into_iter().filter(|name| !there(name)).collect()
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
