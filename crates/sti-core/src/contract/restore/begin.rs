//! The first step of a restore: the columns come back, empty, and the triggers with them, in one transaction.

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;

use super::columns::{Widened, definitions};
use super::error::RestoreError;
use super::state::{Next, State};
use super::triggers::{self, Installed};
use crate::backfill::StopSignal;
use crate::contract::Retry;
use crate::contract::event::DropEvent;
use crate::contract::locks::{Attempts, Tables, Undone, Waiting, under_locks};
use crate::contract::session::{Became, Session};
use crate::db::catalog;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, DbError, dialect, migrations};
use crate::mapping::PARENT;

/// What the first step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Began {
    /// The columns that were added; those that were there already are not among them.
    pub added: Vec<&'static str>,
    /// Columns that came back wider than they were.
    pub widened: Vec<Widened>,
    /// In how many attempts.
    pub attempts: u32,
}

/// What came of the first step.
pub(super) enum First {
    /// It was done.
    Done(Began),
    /// It had been done before.
    Before,
    /// Somebody asked for a stop, and it was not done.
    Stopped,
}

/// Adds the columns that are missing and makes the triggers, unless another process has done it by the time that the
/// locks are had.
///
/// Locks: against other `sti-migrate`s; ACCESS EXCLUSIVE on all three tables at once. Under them nothing is read or
/// written but the catalogue (and, on SQLite, columns with a default).
pub(super) fn begin(
    session: &mut Session<'_>,
    limits: Attempts,
    stop: &StopSignal,
    tell: &mut dyn FnMut(&Retry),
) -> Result<First, RestoreError> {
    let work = |connection: &mut AnyConnection| {
        let state = State::look(connection)?;
        match state.next()? {
            // It may have been asked for while the locks were waited for.
            Next::Begin(_) if stop.is_set() => Ok(First::Stopped),
            Next::Begin(event) => {
                super::refuse_sync(connection)?;
                once(connection, &state, &event).map(First::Done)
            }
            Next::Nothing | Next::Restored(_) | Next::Refill(_) => Ok(First::Before),
        }
    };
    let limits = Waiting::until(limits, Some(stop));
    let done = under_locks(session, Tables::All, limits, tell, work, |connection, first| match first {
        First::Done(_) => became(connection),
        First::Before | First::Stopped => Ok(Became::Done),
    });
    match done {
        Ok((First::Done(began), attempts)) => Ok(First::Done(Began { attempts, ..began })),
        Ok((first, _)) => Ok(first),
        Err(Undone::Locked { .. }) if stop.is_set() => Ok(First::Stopped),
        Err(undone) => Err(undone.into()),
    }
}

/// What the catalogue says of a first step whose COMMIT has no answer.
fn became(connection: &mut AnyConnection) -> Result<Became, DbError> {
    Ok(match State::look(connection)?.next() {
        Ok(Next::Refill(_) | Next::Restored(_)) => Became::Done,
        Ok(Next::Begin(_)) => Became::NotDone,
        Ok(Next::Nothing) => Became::Unclear("the columns are there, and no drop is on record".to_owned()),
        Err(error) => Became::Unclear(error.to_string()),
    })
}

fn once(connection: &mut AnyConnection, state: &State, event: &DropEvent) -> Result<Began, RestoreError> {
    let added = state.missing();
    let (definitions, widened) = definitions(connection, event, &added)?;
    for statement in definitions.statements(PARENT) {
        connection.batch_execute(&statement).doing("adding the legacy columns")?;
    }
    if dialect::backend(connection) == Backend::Sqlite {
        // Its rows hold the default now, which nobody has ever written.
        for column in definitions.columns.iter().filter(|column| column.default.is_some()) {
            let sql = format!("UPDATE {PARENT} SET {} = NULL", column.name);
            connection.batch_execute(&sql).doing("emptying the legacy columns")?;
        }
    }
    if state.triggers != Installed::Yes {
        triggers::install(connection)?;
    }
    record(connection, event, !added.is_empty())?;
    let now = State::look(connection)?;
    if !now.missing().is_empty() || now.triggers != Installed::Yes {
        return Err(RestoreError::Changed("the columns or the triggers that were made are not there"));
    }
    Ok(Began { added, widened, attempts: 0 })
}

/// What was refilled while a trigger was missing, or into a column that has gone again, is refilled anew. Where columns
/// came back, services have yet to notice them, whatever was there before.
fn record(connection: &mut AnyConnection, event: &DropEvent, came_back: bool) -> Result<(), DbError> {
    let now = dialect::backend(connection).now();
    let began = if came_back { now.to_owned() } else { format!("COALESCE(restore_began_at, {now})") };
    let sql = format!(
        "UPDATE sti_drop_event SET restore_began_at = {began}, refilled_through = NULL \
         WHERE id = $1 AND restored_at IS NULL"
    );
    diesel::sql_query(sql)
        .bind::<BigInt, _>(event.id)
        .execute(connection)
        .doing("recording the beginning of the restore")?;
    if catalog::relation(connection, migrations::RECORD)?.is_some() {
        let sql =
            format!("DELETE FROM {} WHERE version = '{}'", migrations::RECORD, migrations::DROP.version);
        connection.batch_execute(&sql).doing("taking back the record of the drop's migration")?;
    }
    Ok(())
}
