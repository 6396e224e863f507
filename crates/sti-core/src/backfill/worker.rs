//! A worker: takes a lease, works on its chunk until that is committed, and takes the next one.

mod chunk_work;
mod trouble;

use std::time::Duration;

use self::trouble::Trouble;
use super::engine::{Ending, Engine, lock};
use super::error::BackfillError;
use super::lease::{self, Next};
use super::throttle::Turn;
use crate::db::AnyConnection;
use crate::observe::Event;

/// How long to wait, at first and at most, before looking again whether the last chunks of a sweep are done.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// One worker, on a thread and a connection of its own.
pub(super) struct Worker<'a> {
    pub engine: &'a Engine<'a>,
    pub connection: AnyConnection,
    trouble: Trouble,
    /// How long the last chunk took that it committed, until its rest has come.
    worked: Option<Duration>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(engine: &'a Engine<'a>, connection: AnyConnection) -> Self {
        Self { engine, connection, trouble: Trouble::default(), worked: None }
    }

    /// Works until there is nothing more to do, or a stop is asked for.
    pub(super) fn work(&mut self) -> Result<Ending, BackfillError> {
        let engine = self.engine;
        let mut look_again = LOOK_AGAIN.0;
        let mut turn = Turn::default();
        while !engine.stop.is_set() {
            // Waits while something asks the backfill to wait.
            if self.persist(|c| Ok(engine.throttle.before_chunk(c, &mut turn)?))?.is_none()
                || engine.stop.is_set()
            {
                break;
            }
            let size = lock(&engine.sizer).size();
            let next =
                self.persist(|c| Ok(lease::next(c, engine.run, engine.config, engine.terms, size)?))?;
            let Some(next) = next else { break };
            if !matches!(next, Next::Wait(_)) {
                look_again = LOOK_AGAIN.0;
            }
            let ending = match next {
                Next::Chunk(lease) => {
                    let ending = self.work_on(lease)?;
                    turn.worked(self.worked.take());
                    ending
                }
                Next::Wait(owner) => {
                    if owner != engine.config.owner.to_string() {
                        engine.observer.event(&Event::WaitingForLease { owner });
                    }
                    engine.stop.rest(look_again);
                    look_again = (look_again * 2).min(LOOK_AGAIN.1);
                    None
                }
                Next::SweepDone(swept) => self.end_sweep(swept)?,
                Next::RunOver(ending) => Some(ending),
            };
            if let Some(ending) = ending {
                return Ok(ending);
            }
        }
        Ok(Ending::Stopped)
    }
}
