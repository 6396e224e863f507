//! The end of a restore: the triggers go, once every service writes both sides again.

use std::time::Duration;

use diesel::RunQueryDsl as _;

use super::error::RestoreError;
use super::state::State;
use super::triggers::{self, Installed};
use crate::contract::Retry;
use crate::contract::locks::{Attempts, Tables, under_locks};
use crate::contract::session::{Became, Session, Steps as _};
use crate::db::error::Doing as _;
use crate::db::sql_types::Timestamp;
use crate::db::{AnyConnection, ConnectError, DbError, dialect};

/// How a restore is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishOptions {
    /// How it tries for its locks.
    pub locks: Attempts,
    /// How long ago the drop must have been recorded as restored; the rest of that time is waited for. Services look for them
    /// every 5 s.
    pub noticed_after: Duration,
    /// How long it must be since the triggers last had something to level, after all services should have noticed.
    pub quiet_for: Duration,
}

impl Default for FinishOptions {
    /// 6 s, and 60 s.
    fn default() -> Self {
        Self {
            locks: Attempts::default(),
            noticed_after: Duration::from_secs(6),
            quiet_for: Duration::from_secs(60),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The columns are there, and no drop is on record: nothing was done.
    NothingDropped,
    /// The drop has not been restored: the triggers are needed, and nothing was done.
    NotRestored {
        /// The drop.
        event: i64,
    },
    /// Somebody still writes subtype rows only: the triggers are needed, and nothing was done.
    StillNeeded {
        /// The drop.
        event: i64,
        /// When the triggers last had something to level.
        levelled_at: Timestamp,
        /// How long ago that was.
        ago: Duration,
    },
    /// It had been finished before.
    Already {
        /// The drop.
        event: i64,
    },
    /// The triggers are gone.
    Done {
        /// The drop.
        event: i64,
        /// In how many attempts.
        attempts: u32,
    },
}

/// Takes the triggers of the restore away. From then on a writer that writes subtype rows only lets the legacy columns
/// fall behind: services must have noticed the columns, which those with this library do within 5 s. One that has not
/// shows by the trace that it leaves at the triggers, if it has written lately.
///
/// Locks: against other `sti-migrate`s; ACCESS EXCLUSIVE on both subtype tables, waited for
/// [`Attempts::lock_timeout`] at most.
///
/// Where the answer to COMMIT is lost, a fresh connection of `connector` asks what became of it.
///
/// # Errors
/// [`RestoreError`]. Nothing was done then, but for [`RestoreError::Unknown`].
pub fn finish(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &FinishOptions,
    tell: &mut dyn FnMut(&Retry),
) -> Result<Finish, RestoreError> {
    step_by_step(&mut Session::open(connector)?, options, tell).map_err(RestoreError::sorted)
}

fn step_by_step(
    session: &mut Session<'_>,
    options: &FinishOptions,
    tell: &mut dyn FnMut(&Retry),
) -> Result<Finish, RestoreError> {
    let connection = session.connection();
    let before = State::snapshot(connection)?;
    if let Some(answer) = settled(&before) {
        return Ok(answer);
    }
    wait(connection, &before, options.noticed_after)?;
    if let Some(answer) = still_needed(connection, &before, options)? {
        return Ok(answer);
    }
    let work = |connection: &mut AnyConnection| once(connection, &before, options);
    let (finish, attempts) =
        under_locks(session, Tables::Rows, options.locks, tell, work, |connection, finish| match finish {
            Finish::Done { event, .. } => {
                let events = State::look(connection)?.events;
                let finished = events.iter().any(|found| found.id == *event && found.finished_at.is_some());
                Ok(Became::done_if(finished))
            }
            _ => Ok(Became::Done),
        })?;
    Ok(match finish {
        Finish::Done { event, .. } => Finish::Done { event, attempts },
        answer => answer,
    })
}

/// Under the locks: nobody can write a row now, so what the triggers say of writers is the last word.
fn once(
    connection: &mut AnyConnection,
    before: &State,
    options: &FinishOptions,
) -> Result<Finish, RestoreError> {
    let state = State::look(connection)?;
    if let Some(answer) = settled(&state) {
        return Ok(answer);
    }
    if state.came_back_at() != before.came_back_at() {
        return Err(RestoreError::Changed("the columns came back anew while the triggers were to go"));
    }
    if let Some(answer) = still_needed(connection, &state, options)? {
        return Ok(answer);
    }
    let Some(last) = state.events.last() else { return Ok(Finish::NothingDropped) };
    triggers::remove(connection)?;
    record(connection)?;
    Ok(Finish::Done { event: last.id, attempts: 0 })
}

/// The answer where there is nothing to do.
fn settled(state: &State) -> Option<Finish> {
    if let Some(open) = state.events.iter().find(|event| event.is_open()) {
        return Some(Finish::NotRestored { event: open.id });
    }
    let Some(last) = state.events.last() else {
        return (state.triggers == Installed::No).then_some(Finish::NothingDropped);
    };
    let finished = state.events.iter().all(|event| event.finished_at.is_some());
    (finished && state.triggers == Installed::No).then_some(Finish::Already { event: last.id })
}

/// The answer where a writer has not noticed the columns although it had the time.
fn still_needed(
    connection: &mut AnyConnection,
    state: &State,
    options: &FinishOptions,
) -> Result<Option<Finish>, DbError> {
    let Some(last) = state.events.last() else { return Ok(None) };
    let (Some(began), Some(restored)) = (last.restore_began_at, last.restored_at) else { return Ok(None) };
    let Some(levelled_at) = triggers::last_levelled(connection)? else { return Ok(None) };
    let since = |moment: Timestamp| levelled_at.0.signed_duration_since(moment.0).to_std().ok();
    let unnoticed =
        since(began).is_some_and(|since| since > options.noticed_after) && since(restored).is_some();
    let now = dialect::clock(connection).doing("asking for the time")?;
    let ago = now.0.signed_duration_since(levelled_at.0).to_std().unwrap_or_default();
    Ok((unnoticed && ago < options.quiet_for).then_some(Finish::StillNeeded {
        event: last.id,
        levelled_at,
        ago,
    }))
}

/// Waits until services have had the time to notice the columns. It counts from the end of the restore: the moment that
/// is on record for the columns is one before their COMMIT, which may have waited for a standby.
fn wait(connection: &mut AnyConnection, state: &State, noticed_after: Duration) -> Result<(), DbError> {
    let Some(restored) = state.events.last().and_then(|event| event.restored_at) else { return Ok(()) };
    let since = dialect::clock(connection).doing("asking for the time")?.0.signed_duration_since(restored.0);
    let since = since.to_std().unwrap_or_default();
    std::thread::sleep(noticed_after.saturating_sub(since));
    Ok(())
}

fn record(connection: &mut AnyConnection) -> Result<(), DbError> {
    let now = dialect::backend(connection).now();
    diesel::sql_query(format!(
        "UPDATE sti_drop_event SET finished_at = {now} WHERE restored_at IS NOT NULL AND finished_at IS NULL"
    ))
    .execute(connection)
    .doing("recording that the restore is finished")?;
    Ok(())
}
