//! The end of a restore: the triggers go, once every service writes both sides again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::RunQueryDsl as _;

use super::error::RestoreError;
use super::levelled::last_levelled;
use super::state::State;
use super::triggers::{self, Installed};
use crate::backfill::StopSignal;
use crate::contract::Retry;
use crate::contract::locks::{Attempts, Tables, Undone, Waiting, under_locks};
use crate::contract::session::{Became, Session, Steps as _};
use crate::db::error::Doing as _;
use crate::db::sql_types::Timestamp;
use crate::db::{AnyConnection, ConnectError, DbError, dialect};

/// How often the triggers are looked at while they are watched.
const GLANCE: Duration = Duration::from_millis(500);

/// How a restore is finished.
#[derive(Clone, Debug)]
pub struct FinishOptions {
    /// How it tries for its locks.
    pub locks: Attempts,
    /// How long services may take to notice that the columns are back; they look for them every 5 s.
    pub noticed_after: Duration,
    /// How long the triggers must have been watched, from when services have noticed, and the restore was recorded; the
    /// rest of that time is waited for. Whoever writes a subtype row alone in that time is seen.
    pub watched_for: Duration,
    /// How long it must be since the triggers last had something to level, after all services should have noticed.
    pub quiet_for: Duration,
    /// Ends the wait, with nothing changed.
    pub stop: StopSignal,
}

impl Default for FinishOptions {
    /// 6 s, 20 s and 60 s.
    fn default() -> Self {
        Self {
            locks: Attempts::default(),
            noticed_after: Duration::from_secs(6),
            watched_for: Duration::from_secs(20),
            quiet_for: Duration::from_secs(60),
            stop: StopSignal::default(),
        }
    }
}

/// Something that happened on the way.
#[derive(Clone, Debug)]
pub enum FinishEvent {
    /// The triggers are being watched, whether somebody still needs them.
    Watching {
        /// For so long from now on.
        left: Duration,
    },
    /// The locks were not to be had, and are tried for again.
    Retried(Retry),
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
    /// Somebody asked for a stop: the triggers are there as before.
    Stopped {
        /// The drop.
        event: i64,
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
/// shows by the trace that it leaves at the triggers, if it has written lately. A restore of this moment says nothing of
/// that yet; so the triggers are watched for a while first.
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
    tell: &mut dyn FnMut(&FinishEvent),
) -> Result<Finish, RestoreError> {
    step_by_step(&mut Session::open(connector)?, options, tell).map_err(RestoreError::sorted)
}

fn step_by_step(
    session: &mut Session<'_>,
    options: &FinishOptions,
    tell: &mut dyn FnMut(&FinishEvent),
) -> Result<Finish, RestoreError> {
    let connection = session.connection();
    let before = State::snapshot(connection)?;
    if let Some(answer) = settled(&before) {
        return Ok(answer);
    }
    if let Some(answer) = watch(connection, &before, options, tell)? {
        return Ok(answer);
    }
    let work = |connection: &mut AnyConnection| once(connection, &before, options);
    let limits = Waiting::until(options.locks, Some(&options.stop));
    let mut retried = |retry: &Retry| tell(&FinishEvent::Retried(retry.clone()));
    let done =
        under_locks(session, Tables::Rows, limits, &mut retried, work, |connection, finish| match finish {
            Finish::Done { event, .. } => {
                let events = State::look(connection)?.events;
                let finished = events.iter().any(|found| found.id == *event && found.finished_at.is_some());
                Ok(Became::done_if(finished))
            }
            _ => Ok(Became::Done),
        });
    match done {
        Ok((Finish::Done { event, .. }, attempts)) => Ok(Finish::Done { event, attempts }),
        Ok((answer, _)) => Ok(answer),
        Err(Undone::Locked { .. }) if options.stop.is_set() => Ok(stopped(&before)),
        Err(undone) => Err(undone.into()),
    }
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
    if options.stop.is_set() {
        return Ok(stopped(&state));
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

fn stopped(state: &State) -> Finish {
    state.events.last().map_or(Finish::NothingDropped, |last| Finish::Stopped { event: last.id })
}

/// From when on whoever writes a subtype row alone is no service that has yet to notice the columns. What came before
/// the restore was recorded may have been somebody's mending of it.
fn noticed_at(state: &State, options: &FinishOptions) -> Option<DateTime<Utc>> {
    let last = state.events.last()?;
    let restored = last.restored_at?.0;
    let noticed = last.restore_began_at.map(|began| began.0 + options.noticed_after);
    Some(noticed.map_or(restored, |noticed| noticed.max(restored)))
}

/// The answer where a writer has not noticed the columns although it had the time.
fn still_needed(
    connection: &mut AnyConnection,
    state: &State,
    options: &FinishOptions,
) -> Result<Option<Finish>, DbError> {
    let Some(last) = state.events.last() else { return Ok(None) };
    let Some(noticed) = noticed_at(state, options) else { return Ok(None) };
    let Some(levelled_at) = last_levelled(connection)? else { return Ok(None) };
    let now = dialect::clock(connection).doing("asking for the time")?;
    let ago = now.0.signed_duration_since(levelled_at.0).to_std().unwrap_or_default();
    let needed = levelled_at.0 > noticed && ago < options.quiet_for;
    Ok(needed.then_some(Finish::StillNeeded { event: last.id, levelled_at, ago }))
}

/// Watches the triggers until they have been watched for long enough; gives the answer if there is one by then. A
/// service must have noticed the columns from the end of the restore on: the moment that is on record for the columns is
/// one before their COMMIT, which may have waited for a standby.
fn watch(
    connection: &mut AnyConnection,
    state: &State,
    options: &FinishOptions,
    tell: &mut dyn FnMut(&FinishEvent),
) -> Result<Option<Finish>, DbError> {
    let restored = state.events.last().and_then(|event| event.restored_at);
    let until = noticed_at(state, options)
        .zip(restored)
        .map(|(noticed, restored)| (noticed + options.watched_for).max(restored.0 + options.noticed_after));
    let mut told = false;
    loop {
        if options.stop.is_set() {
            return Ok(Some(stopped(state)));
        }
        if let Some(answer) = still_needed(connection, state, options)? {
            return Ok(Some(answer));
        }
        let now = dialect::clock(connection).doing("asking for the time")?.0;
        let left = until.and_then(|until| (until - now).to_std().ok()).unwrap_or_default();
        if left.is_zero() {
            return Ok(None);
        }
        if !told {
            told = true;
            tell(&FinishEvent::Watching { left });
        }
        options.stop.rest(left.min(GLANCE));
    }
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
