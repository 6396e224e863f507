//! The way back after a drop: the legacy columns come back and get their values again, while services go on.
//!
//! [`restore`] does it in steps, each of which commits by itself and can be repeated:
//!
//! 1. The columns come back, nullable, with their definitions, and in the same transaction triggers on both subtype
//!    tables, so that a service that has not noticed the columns yet keeps both sides level.
//! 2. Chunk after chunk they get their values: the archived one where the subtype row says what it said at the drop,
//!    else what the subtype row says now. How far it came is committed with each chunk.
//! 3. Both sides are verified, and only then does the event say that it is restored. Until then the subtype rows are
//!    the values: services read them, and legacy mode refuses to start.
//!
//! [`finish`] takes the triggers away.

mod begin;
mod columns;
mod error;
mod finish;
mod levelled;
mod refill;
mod settle;
pub(super) mod state;
pub(super) mod triggers;

use std::time::Duration;

pub use super::Retry;
use super::archive::archived;
use super::event::DropEvent;
pub use super::locks::Attempts;
use super::session::{Session, Steps as _};
use crate::backfill::{ChunkSize, StopSignal};
use crate::db::sql_types::Timestamp;
use crate::db::{AnyConnection, ConnectError, catalog, read_snapshot};
use crate::mapping::PARENT;
use crate::models::ProjectId;
use crate::probe::Probe;
use crate::sync;
use crate::verify::VerifyReport;
pub use begin::Began;
use begin::First;
pub use columns::Widened;
pub use error::RestoreError;
pub use finish::{Finish, FinishEvent, FinishOptions, finish};
pub use levelled::Levelled;
use refill::End;
pub use refill::Refilled;
pub(crate) use state::unfinished;
use state::{Next, State};
pub use state::{Standing, standing};
pub use triggers::Installed;

/// How a restore is made.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Projects in a chunk; they are locked together until it commits.
    pub chunk: ChunkSize,
    /// How the first step tries for its locks.
    pub locks: Attempts,
    /// How many projects of each class are shown where the verification finds something.
    pub sample: u32,
    /// Ends it before the first step, or behind the chunk that is under way.
    pub stop: StopSignal,
    /// For tests.
    pub probe: Probe,
}

/// Projects in a chunk, unless somebody says otherwise.
const CHUNK: ChunkSize = match ChunkSize::new(1_000) {
    Ok(size) => size,
    Err(_) => panic!("1,000 is a chunk size"),
};

impl Default for RestoreOptions {
    /// Chunks of 1,000 projects, no samples.
    fn default() -> Self {
        Self {
            chunk: CHUNK,
            locks: Attempts::default(),
            sample: 0,
            stop: StopSignal::default(),
            probe: Probe::default(),
        }
    }
}

/// Something that happened on the way. Every count has been committed.
#[derive(Clone, Debug)]
pub enum RestoreEvent {
    /// The first step did not get its locks and is tried again.
    Retried(Retry),
    /// The columns are back.
    Began(Began),
    /// The refill begins, or goes on.
    Refilling {
        /// Behind this project; `None` from the beginning.
        after: Option<ProjectId>,
        /// How many projects there are.
        projects: i64,
    },
    /// A chunk was committed.
    ChunkDone {
        /// What this command has done so far.
        done: Refilled,
        /// The last project of the chunk.
        through: ProjectId,
    },
    /// A chunk was rolled back and is run again.
    ChunkRetried {
        /// Which retry this is, from 1.
        retry: u32,
        /// Why.
        reason: String,
        /// How long it rests before.
        rest: Duration,
    },
    /// Both sides are being verified.
    Verifying,
}

/// What came of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restoration {
    /// The columns are there, and no drop is on record: nothing was done.
    NothingDropped,
    /// The archive does not hold what the drop archived: nothing was done, for what is missing would come back empty.
    ArchiveIncomplete {
        /// The drop.
        event: i64,
        /// Rows that the drop archived.
        expected: i64,
        /// Rows that are there.
        found: i64,
    },
    /// The last drop has been taken back already.
    Already {
        /// The drop.
        event: Box<DropEvent>,
        /// Whether triggers of the restore are still there.
        triggers: bool,
        /// When they last had something to level: a writer wrote a subtype row only.
        levelled_at: Option<Timestamp>,
    },
    /// The columns are back, refilled and verified.
    Done(Restored),
    /// The columns are back and refilled, and the two sides do not agree: the drop counts as not restored.
    NotVerified {
        /// What this command did.
        restored: Restored,
        /// What was found.
        report: Box<VerifyReport>,
    },
    /// Stopped because somebody asked for it before the first step: nothing was done.
    NotBegun {
        /// The drop.
        event: i64,
    },
    /// Stopped behind a chunk because somebody asked for it; the same command goes on.
    Stopped(Restored),
}

/// What one call of [`restore`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The drop.
    pub event: i64,
    /// How many projects it archived.
    pub archived: Option<i64>,
    /// The first step; `None` if it had been done before.
    pub began: Option<Began>,
    /// Where the refill went on: behind this project.
    pub resumed_after: Option<ProjectId>,
    /// The refill.
    pub refilled: Refilled,
    /// How many projects were verified, and found to agree; 0 unless the restore is done.
    pub verified: i64,
}

/// Brings the legacy columns back, refills and verifies them, or goes on where an earlier call came to.
///
/// Any number of processes may do it at once; they take turns at the chunks. Locks: see [`Began`] for the first step
/// (ACCESS EXCLUSIVE on the three tables, waited for [`Attempts::lock_timeout`] at most); each chunk locks its
/// projects FOR NO KEY UPDATE in the order of their ids.
///
/// Where the answer to a COMMIT is lost, a fresh connection of `connector` asks the catalogue and the event what became
/// of that step, and the restore goes on behind it.
///
/// # Errors
/// [`RestoreError`]. What was committed before stays; the same call goes on behind it.
pub fn restore(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &RestoreOptions,
    tell: &mut dyn FnMut(&RestoreEvent),
) -> Result<Restoration, RestoreError> {
    let mut session = Session::open(connector)?;
    step_by_step(&mut session, options, tell).map_err(RestoreError::sorted)
}

fn step_by_step(
    session: &mut Session<'_>,
    options: &RestoreOptions,
    tell: &mut dyn FnMut(&RestoreEvent),
) -> Result<Restoration, RestoreError> {
    let connection = session.connection();
    let (state, found) = read_snapshot(connection, |connection| {
        let state = State::look(connection)?;
        let open = state.events.iter().find(|event| event.is_open()).map(|event| event.id);
        let found = open.map(|event| archived(connection, event)).transpose()?;
        Ok::<_, RestoreError>((state, found))
    })?;
    let (event, under_way) = match state.next()? {
        Next::Nothing => return Ok(Restoration::NothingDropped),
        Next::Restored(event) => {
            return already(connection, event, state.triggers != Installed::No);
        }
        Next::Begin(event) => (event, false),
        Next::Refill(event) => (event, true),
    };
    refuse_sync(connection)?;
    if let (Some(expected), Some(found)) = (event.archived, found)
        && found != expected
    {
        return Ok(Restoration::ArchiveIncomplete { event: event.id, expected, found });
    }
    let first = begin::begin(session, options.locks, &options.stop, &mut |retry| {
        tell(&RestoreEvent::Retried(retry.clone()));
    })?;
    let began = match first {
        First::Done(began) => Some(began),
        First::Before => None,
        First::Stopped if under_way => {
            return Ok(Restoration::Stopped(Restored {
                event: event.id,
                archived: event.archived,
                began: None,
                resumed_after: event.refilled_through,
                refilled: Refilled::default(),
                verified: 0,
            }));
        }
        First::Stopped => return Ok(Restoration::NotBegun { event: event.id }),
    };
    if let Some(began) = &began {
        tell(&RestoreEvent::Began(began.clone()));
    }
    let connection = session.connection();
    // After the first step: it may have put the cursor back.
    let state = State::snapshot(connection)?;
    let event = match state.next()? {
        Next::Refill(event) => event,
        Next::Restored(event) => {
            return already(connection, event, state.triggers != Installed::No);
        }
        Next::Nothing | Next::Begin(_) => {
            return Err(RestoreError::Changed(
                "columns or triggers went away while they were being restored",
            ));
        }
    };
    let projects = catalog::count(connection, PARENT)?;
    tell(&RestoreEvent::Refilling { after: event.refilled_through, projects });
    let (refilled, end) = refill::refill(session, &event, options, tell)?;
    let restored = Restored {
        event: event.id,
        archived: event.archived,
        began,
        resumed_after: event.refilled_through,
        refilled,
        verified: 0,
    };
    if end == End::Stopped {
        return Ok(Restoration::Stopped(restored));
    }
    tell(&RestoreEvent::Verifying);
    settle::settle(session, restored, options)
}

/// Refuses where triggers would carry the legacy columns, empty as they come back, over to the subtype rows.
fn refuse_sync(connection: &mut AnyConnection) -> Result<(), RestoreError> {
    if sync::look(connection)?.installed == sync::Installed::No {
        Ok(())
    } else {
        Err(RestoreError::SyncTriggers)
    }
}

fn already(
    connection: &mut AnyConnection,
    event: DropEvent,
    triggers: bool,
) -> Result<Restoration, RestoreError> {
    let levelled_at = levelled::last_levelled(connection)?;
    Ok(Restoration::Already { event: Box::new(event), triggers, levelled_at })
}
