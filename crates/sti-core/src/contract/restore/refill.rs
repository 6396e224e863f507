//! The refill: chunk after chunk, upward by id, the columns get their values back.

mod chunk;
mod sql;

use crate::chunks::passes;
use crate::contract::event::DropEvent;
use crate::contract::session::{self, Session, Steps as _};
use crate::db::dialect::{self, Limits};
use crate::db::error::Doing as _;
use crate::db::retry;

use super::error::RestoreError;
use super::{RestoreEvent, RestoreOptions};
use chunk::{Chunk, Job, Undone};

/// What chunks of a refill did, each counted when it had been committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refilled {
    /// Chunks.
    pub chunks: i64,
    /// Projects that were looked at.
    pub projects: i64,
    /// Those of them that are in the archive.
    pub archived: i64,
    /// Those whose columns were changed; the others held their values already, or have none.
    pub changed: i64,
    /// Values of the archive, neither NULL nor `''`, that were not put back, for the subtype row has been changed
    /// since, or has gone. They stay in the archive.
    pub superseded: i64,
    /// Values that were in the columns already and that neither the archive nor the subtype row holds: somebody else
    /// wrote them after the columns had come back. They were left as they are.
    pub left: i64,
    /// Archived values that came back although the subtype row has an empty field: the row was made after the drop, by
    /// somebody who could not see them. The verification finds that both sides differ, and somebody decides.
    pub beside_empty: i64,
}

impl Refilled {
    fn add(&mut self, chunk: &Self) {
        self.chunks += chunk.chunks;
        self.projects += chunk.projects;
        self.archived += chunk.archived;
        self.changed += chunk.changed;
        self.superseded += chunk.superseded;
        self.left += chunk.left;
        self.beside_empty += chunk.beside_empty;
    }
}

/// How a refill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There are no more projects, or another process has done the rest.
    Complete,
    /// Somebody asked for a stop.
    Stopped,
}

/// Refills from where the event says that it came to, until there are no more projects.
pub(super) fn refill(
    session: &mut Session<'_>,
    event: &DropEvent,
    options: &RestoreOptions,
    tell: &mut dyn FnMut(&RestoreEvent),
) -> Result<(Refilled, End), RestoreError> {
    let lock =
        dialect::lock_limit(session.connection(), chunk::LOCK_LIMIT).doing("reading deadlock_timeout")?;
    let job = Job {
        event: event.id,
        size: options.chunk.get(),
        limits: Limits { lock, statement: chunk::STATEMENT_LIMIT },
        probe: &options.probe,
    };
    let mut done = Refilled::default();
    loop {
        if options.stop.is_set() {
            return Ok((done, End::Stopped));
        }
        match retried(session, &job, &done, tell)? {
            Some(Chunk { refilled, through }) => {
                done.add(&refilled);
                tell(&RestoreEvent::ChunkDone { done, through });
            }
            None => return Ok((done, End::Complete)),
        }
    }
}

fn retried(
    session: &mut Session<'_>,
    job: &Job<'_>,
    done: &Refilled,
    tell: &mut dyn FnMut(&RestoreEvent),
) -> Result<Option<Chunk>, RestoreError> {
    let mut retried = 0;
    loop {
        let (error, lost) = match chunk::run(session, job) {
            Ok(chunk) => return Ok(chunk),
            Err(session::Undone::Work(Undone::Interfered { expected, found })) => {
                return Err(RestoreError::Interfered { expected, found });
            }
            Err(session::Undone::Unknown(unknown)) => return Err(RestoreError::Unknown(unknown)),
            Err(session::Undone::Work(Undone::Database(error)) | session::Undone::Database(error)) => {
                (error, false)
            }
            Err(session::Undone::Lost(error)) => (error, true),
        };
        if !(passes(&error) || lost) || retried >= retry::RETRIES {
            return Err(RestoreError::Stopped { done: Box::new(*done), source: error });
        }
        retried += 1;
        let rest = retry::rest(retried);
        tell(&RestoreEvent::ChunkRetried { retry: retried, reason: error.to_string(), rest });
        std::thread::sleep(rest);
    }
}
