//! One chunk, whatever comes: tried again, divided, put off, or given back.

use std::time::Instant;

use super::Worker;
use crate::backfill::careful;
use crate::backfill::chunk::{self, Done, Manner};
use crate::backfill::engine::{Ending, lock};
use crate::backfill::error::BackfillError;
use crate::backfill::lease::{self, Lease, Standing};
use crate::backfill::ledger;
use crate::backfill::quarantine::{self, Refused};
use crate::backfill::remedy::Remedy;
use crate::backfill::totals::Totals;
use crate::db::error::{DbError, Fault};
use crate::db::{Failed, dialect, read_snapshot, retry};
use crate::observe::Event;

/// A chunk under way.
struct Work {
    lease: Lease,
    manner: Manner,
    retried: u32,
}

/// What the ledger has of a chunk: how it stands, what it did, and whom it put into quarantine.
type Asked = (Standing, Totals, Vec<Refused>);

/// What a chunk is halved by.
#[derive(Clone, Copy)]
enum Halve {
    /// All keys in its range: reading them took too long.
    Keys,
    /// The projects that it works on, of which there must be more than so many: some of them are refused.
    Projects(i64),
}

/// How one try ended, but for those that failed.
enum Tried {
    Done(Done),
    /// Somebody else has the chunk.
    Lost,
}

impl Worker<'_> {
    /// Works on a chunk until it is committed, here or by somebody who took the lease over, or until it is given back.
    /// `Some` when that ends the backfill in this process.
    pub(super) fn work_on(&mut self, lease: Lease) -> Result<Option<Ending>, BackfillError> {
        if let Some(from) = &lease.taken_from {
            let (sweep, number) = (lease.sweep, lease.number);
            self.engine.observer.event(&Event::LeaseTaken { sweep, number, from: from.clone() });
        }
        let mut work = Work { lease, manner: Manner::Whole, retried: 0 };
        match self.see_through(&mut work) {
            Ok(Some(done)) => self.committed(&work.lease, done),
            // Found out while it was being halved.
            Err(BackfillError::LeaseLost { .. }) => Ok(self.lost(&work).and(None)),
            given_up => {
                // Only a courtesy: a lease that is not given back runs out.
                let _ = lease::release(&mut self.connection, &work.lease);
                given_up.map(|_| None)
            }
        }
    }

    /// `None` when the chunk is not ours any more, or is not to be done now.
    fn see_through(&mut self, work: &mut Work) -> Result<Option<Done>, BackfillError> {
        let engine = self.engine;
        loop {
            let begun = Instant::now();
            let (error, at_commit) = match self.attempt(work) {
                Ok(Tried::Done(done)) => return Ok(Some(done)),
                Ok(Tried::Lost) => return Ok(self.lost(work)),
                Err(failed) => failed,
            };
            if at_commit && error.fault() == Fault::ConnectionLost {
                match self.ask(&work.lease, error)? {
                    (Standing::Done, totals, refused) => {
                        return Ok(Some(Done { totals, refused, duration: begun.elapsed() }));
                    }
                    (Standing::Lost, ..) => return Ok(self.lost(work)),
                    (Standing::Open, ..) => continue,
                }
            }
            match Remedy::of(error.fault(), work.retried) {
                Remedy::Again => self.again(work, &error),
                Remedy::Wait => self.wait_for_server(error)?,
                Remedy::Bisect => self.bisect(work, error, at_commit)?,
                Remedy::Halve => {
                    let timed_out = work.lease.keys.unwrap_or(0);
                    lock(&engine.sizer).timed_out(timed_out);
                    if !self.halve(work, Halve::Keys, &error)? {
                        if work.retried >= retry::RETRIES {
                            return Err(error);
                        }
                        self.again(work, &error);
                    }
                }
                Remedy::Postpone if self.has_patience() => {
                    self.persist(|c| Ok(lease::postpone(c, &work.lease)?))?;
                    let Lease { sweep, number, .. } = work.lease;
                    let reason = error.to_string();
                    engine.observer.event(&Event::ChunkPostponed { sweep, number, reason });
                    return Ok(None);
                }
                Remedy::Postpone | Remedy::Stop => return Err(error),
            }
            if engine.stop.is_set() {
                return Ok(None);
            }
        }
    }

    fn attempt(&mut self, work: &Work) -> Result<Tried, (BackfillError, bool)> {
        let Self { engine, connection, .. } = self;
        let number = work.lease.number;
        let failed = |what: &str, source| DbError { doing: format!("{what} chunk {number}"), source };
        match chunk::run(connection, engine.run, &work.lease, engine.terms, engine.config, &work.manner) {
            Ok(done) => Ok(Tried::Done(done)),
            Err(Failed::Body(BackfillError::LeaseLost { .. })) => Ok(Tried::Lost),
            Err(Failed::Body(error)) => Err((error, false)),
            Err(Failed::Begin(source)) => Err((failed("beginning", source).into(), false)),
            Err(Failed::Commit(source)) => Err((BackfillError::Fill(failed("committing", source)), true)),
        }
    }

    fn lost(&self, work: &Work) -> Option<Done> {
        let Lease { sweep, number, .. } = work.lease;
        self.engine.observer.event(&Event::LeaseLost { sweep, number });
        None
    }

    fn again(&self, work: &mut Work, error: &BackfillError) {
        work.retried += 1;
        self.rest(Some(&work.lease), work.retried, error);
    }

    /// Some rows are refused: halves the chunk until it is small, then looks for them in it.
    fn bisect(
        &mut self,
        work: &mut Work,
        error: BackfillError,
        at_commit: bool,
    ) -> Result<(), BackfillError> {
        match (&work.manner, at_commit) {
            (Manner::Whole, _) => {
                if !self.halve(work, Halve::Projects(careful::MOST), &error)? {
                    work.manner = Manner::Careful;
                }
                Ok(())
            }
            // What only COMMIT says is not said of a row: one project is left in the end.
            (Manner::Careful, true) => {
                if !self.halve(work, Halve::Projects(1), &error)? {
                    let BackfillError::Fill(DbError { source, .. }) = error else { return Err(error) };
                    work.manner = Manner::Refuse(source);
                }
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Makes two chunks of one and goes on with the first; false when there is not enough in it.
    fn halve(&mut self, work: &mut Work, by: Halve, reason: &BackfillError) -> Result<bool, BackfillError> {
        let engine = self.engine;
        let lease = work.lease.clone();
        let backend = dialect::backend(&self.connection);
        let (condition, enough) = match by {
            Halve::Keys => ("TRUE".to_owned(), 1),
            Halve::Projects(enough) => {
                (engine.config.scope.sweep_condition_sql(engine.run, lease.sweep, backend), enough)
            }
        };
        let halved = self.persist(|c| lease::halve(c, engine.run, &lease, &condition, enough))?;
        // Asked to stop: the caller sees to that.
        let Some(halved) = halved else { return Ok(true) };
        let Some(first) = halved else { return Ok(false) };
        let Lease { sweep, number, .. } = lease;
        engine.observer.event(&Event::ChunkHalved { sweep, number, reason: reason.to_string() });
        work.lease = first;
        work.retried = 0;
        Ok(true)
    }

    /// Asks the ledger what became of a chunk whose COMMIT was not answered, before anything else is done.
    fn ask(&mut self, lease: &Lease, lost: BackfillError) -> Result<Asked, BackfillError> {
        let unknown = |source| BackfillError::Unknown { number: lease.number, source: Box::new(source) };
        let mut error = lost;
        loop {
            self.wait_for_server(error).map_err(unknown)?;
            let answer = read_snapshot(&mut self.connection, |c| {
                let standing = lease::standing(c, lease)?;
                let totals = ledger::chunk_totals(c, lease.chunk)?;
                Ok::<_, DbError>((standing, totals, quarantine::of_chunk(c, lease.chunk)?))
            });
            match answer {
                Ok(answer) => return Ok(answer),
                Err(failed) if self.engine.stop.is_set() => return Err(unknown(failed.into())),
                Err(failed) => error = failed.into(),
            }
        }
    }

    fn committed(&mut self, lease: &Lease, done: Done) -> Result<Option<Ending>, BackfillError> {
        let engine = self.engine;
        self.trouble.is_over();
        let Done { totals, refused, duration } = done;
        self.worked = Some(duration);
        if let Some(keys) = lease.keys {
            lock(&engine.sizer).took(keys, duration);
        }
        let here = engine.committed(totals);
        let (sweep, number) = (lease.sweep, lease.number);
        engine.observer.event(&Event::ChunkDone { sweep, number, totals, duration });
        for refused in refused {
            engine.observer.event(&Event::ProjectQuarantined {
                project: refused.project,
                class: refused.class,
                message: refused.message,
            });
        }
        let errors = here.error.total();
        if !engine.config.max_error_rate.is_exceeded(errors, here.locked) {
            return Ok(None);
        }
        let reason = engine.config.max_error_rate.exceeded_by(errors, here.locked);
        engine.stop.stop();
        self.persist(|c| Ok(ledger::note_stop(c, engine.run, &reason)?))?;
        Ok(Some(Ending::TooManyErrors { errors, projects: here.locked }))
    }
}
