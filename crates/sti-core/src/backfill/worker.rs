//! A worker: takes a lease, works on its chunk until that is committed, and takes the next one.

use std::time::{Duration, Instant};

use super::chunk;
use super::engine::{Ending, Engine, lock};
use super::error::BackfillError;
use super::lease::{self, Lease, Next, Standing};
use super::ledger;
use super::throttle::Turn;
use super::totals::Totals;
use crate::db::error::{DbError, Fault};
use crate::db::{AnyConnection, Failed, retry};
use crate::observe::Event;

/// How long to wait, at first and at most, before looking again whether the last chunks of a sweep are done.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// One worker, on a thread and a connection of its own.
pub(super) struct Worker<'a> {
    pub engine: &'a Engine<'a>,
    pub connection: AnyConnection,
}

impl Worker<'_> {
    /// Works until there is nothing more to do, or a stop is asked for.
    pub(super) fn work(&mut self) -> Result<Ending, BackfillError> {
        let engine = self.engine;
        let mut look_again = LOOK_AGAIN.0;
        let mut turn = Turn::default();
        loop {
            self.may_begin(&mut turn)?;
            if engine.stop.is_set() {
                return Ok(Ending::Stopped);
            }
            let next = self.next()?;
            if !matches!(next, Next::Wait(_)) {
                look_again = LOOK_AGAIN.0;
            }
            match next {
                Next::Chunk(lease) => self.work_on(&lease)?,
                Next::Wait(owner) => {
                    if owner != engine.config.owner.to_string() {
                        engine.observer.event(&Event::WaitingForLease { owner });
                    }
                    engine.stop.rest(look_again);
                    look_again = (look_again * 2).min(LOOK_AGAIN.1);
                }
                Next::SweepDone(swept) => {
                    if let Some(ending) = engine.end_sweep(&mut self.connection, swept)? {
                        return Ok(ending);
                    }
                }
                Next::RunOver(ending) => return Ok(ending),
            }
        }
    }

    /// Waits while something asks the backfill to wait, or until it is asked to stop.
    fn may_begin(&mut self, turn: &mut Turn) -> Result<(), BackfillError> {
        let mut retried = 0;
        while let Err(error) = self.engine.throttle.before_chunk(&mut self.connection, turn) {
            self.rest(error.into(), &mut retried, 0)?;
        }
        Ok(())
    }

    /// The next lease; on SQLite another process may hold the file, so this too is tried again.
    fn next(&mut self) -> Result<Next, BackfillError> {
        let engine = self.engine;
        let mut retried = 0;
        loop {
            let size = lock(&engine.sizer).size();
            match lease::next(&mut self.connection, engine.run, engine.config, engine.terms, size) {
                Ok(next) => return Ok(next),
                Err(error) => {
                    let error = BackfillError::from(error);
                    self.rest(error, &mut retried, 0)?;
                }
            }
        }
    }

    /// Works on a chunk until it is committed, here or by somebody who took the lease over.
    fn work_on(&mut self, lease: &Lease) -> Result<(), BackfillError> {
        let engine = self.engine;
        if let Some(from) = &lease.taken_from {
            engine.observer.event(&Event::LeaseTaken { number: lease.number, from: from.clone() });
        }
        let mut retried = 0;
        loop {
            let begun = Instant::now();
            let (error, at_commit) =
                match chunk::run(&mut self.connection, lease, engine.terms, engine.config) {
                    Ok((totals, duration)) => {
                        self.committed(lease, totals, duration);
                        return Ok(());
                    }
                    Err(Failed::Body(BackfillError::LeaseLost { .. })) => return Ok(()),
                    Err(Failed::Body(error)) => (error, false),
                    Err(Failed::Begin(source)) => (failed("beginning", lease, source), false),
                    Err(Failed::Commit(source)) => (failed("committing", lease, source), true),
                };
            let lost = error.fault() == Fault::ConnectionLost;
            if let (Fault::StatementTimeout, Some(keys)) = (error.fault(), lease.keys) {
                lock(&engine.sizer).timed_out(keys);
            }
            self.rest(error, &mut retried, lease.number)?;
            if at_commit && lost {
                match self.ask(lease)? {
                    Standing::Done => {
                        let totals = ledger::chunk_totals(&mut self.connection, lease.chunk)?;
                        self.committed(lease, totals, begun.elapsed());
                        return Ok(());
                    }
                    Standing::Lost => return Ok(()),
                    Standing::Open => {}
                }
            }
        }
    }

    fn committed(&self, lease: &Lease, totals: Totals, duration: Duration) {
        let engine = self.engine;
        if let Some(keys) = lease.keys {
            lock(&engine.sizer).took(keys, duration);
        }
        engine.committed(totals);
        engine.observer.event(&Event::ChunkDone {
            sweep: lease.sweep,
            number: lease.number,
            totals,
            duration,
        });
    }

    /// Asks the ledger what became of a chunk whose COMMIT was not answered, before anything else is done.
    fn ask(&mut self, lease: &Lease) -> Result<Standing, BackfillError> {
        lease::standing(&mut self.connection, lease)
            .map_err(|e| BackfillError::Unknown { number: lease.number, source: Box::new(e.into()) })
    }

    /// Rests before the next try when `error` is one that passes; gives it back when it is not, or came too often.
    /// A lost connection is opened anew.
    fn rest(&mut self, error: BackfillError, retried: &mut u32, number: i32) -> Result<(), BackfillError> {
        let engine = self.engine;
        let passes = matches!(
            error.fault(),
            Fault::Transient | Fault::LockTimeout | Fault::StatementTimeout | Fault::ConnectionLost
        );
        if !passes || *retried >= retry::RETRIES || engine.stop.is_set() {
            return Err(error);
        }
        *retried += 1;
        let rest = retry::rest(*retried);
        let reason = error.to_string();
        engine.observer.event(&Event::ChunkRetried { number, retry: *retried, reason, rest });
        std::thread::sleep(rest);
        if error.fault() == Fault::ConnectionLost {
            // A server that restarts refuses connections for a while: each refusal counts as a try.
            loop {
                match (engine.connect)() {
                    Ok(opened) => {
                        self.connection = opened;
                        break;
                    }
                    Err(refused) if *retried >= retry::RETRIES => return Err(refused.into()),
                    Err(_) => {
                        *retried += 1;
                        std::thread::sleep(retry::rest(*retried));
                    }
                }
            }
        }
        Ok(())
    }
}

fn failed(what: &str, lease: &Lease, source: diesel::result::Error) -> BackfillError {
    DbError { doing: format!("{what} chunk {}", lease.number), source }.into()
}
