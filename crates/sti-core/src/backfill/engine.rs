//! The engine: takes leases, works on their chunks, retries, moves from sweep to sweep, and ends.

use std::sync::Mutex;
use std::time::Duration;

use super::chunk;
use super::config::BackfillConfig;
use super::error::BackfillError;
use super::lease::{self, Lease, Next, Standing};
use super::ledger::{self, RunId};
use super::totals::Totals;
use crate::db::dialect::Limits;
use crate::db::error::{DbError, Doing as _, Fault};
use crate::db::{AnyConnection, ConnectError, Failed, retry, write_transaction};
use crate::observe::{Event, Observer};

/// The last sweep: the first one, and five to catch up.
const LAST_SWEEP: i32 = 6;

/// How long to wait before looking again whether another process has finished its chunk.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How a backfill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every project in scope of a known kind had its row when the last sweep ended.
    Complete,
    /// After the last catch-up sweep some projects still lacked their row: something keeps adding projects
    /// without dual writes.
    StillMissing(i64),
    /// It was asked to stop. The run is under way; the same command resumes it.
    Stopped,
    /// Another process ended the run.
    EndedElsewhere,
}

/// What a backfill did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// The run, as the ledger has it.
    pub run: RunId,
    /// It was taken up again, not begun.
    pub resumed: bool,
    /// How it ended.
    pub ending: Ending,
    /// What the ledger holds for the whole run, whoever did it.
    pub totals: Totals,
    /// What this process committed.
    pub here: Totals,
}

struct Engine<'a> {
    connect: &'a (dyn Fn() -> Result<AnyConnection, ConnectError> + Sync),
    config: &'a BackfillConfig,
    observer: &'a dyn Observer,
    run: RunId,
    here: Mutex<Totals>,
}

impl Backfill {
    /// Runs a backfill: takes up the run that is under way, or begins one, and works on its chunks until the run is
    /// complete or `config.stop` is set.
    ///
    /// Each chunk locks its projects (FOR NO KEY UPDATE, in key order) until it commits, waits at most 300 ms for one
    /// lock, and is retried 5 times with growing rests. Between chunks nothing is locked.
    ///
    /// # Errors
    /// [`BackfillError`]; what had been committed stays, and [`BackfillError::is_resumable`] says whether the same
    /// call takes it up.
    ///
    /// # Examples
    /// ```no_run
    /// use sti_core::backfill::{Backfill, BackfillConfig, Owner};
    /// use sti_core::db::{Access, DatabaseUrl, connect};
    ///
    /// let url = DatabaseUrl::parse("postgres://app@localhost/ocean")?;
    /// let config = BackfillConfig::new(Owner::this_process("host-1"));
    /// let done = Backfill::run(&|| connect(&url, Access::Write, "backfill"), &config, &())?;
    /// println!("{:?}: {} rows made", done.ending, done.totals.created.total());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(
        connect: &(dyn Fn() -> Result<AnyConnection, ConnectError> + Sync),
        config: &BackfillConfig,
        observer: &dyn Observer,
    ) -> Result<Self, BackfillError> {
        let mut connection = connect()?;
        super::dry_run::check_schema(&mut connection)?;
        let not_begun = |error| match error {
            BackfillError::Database(error) => BackfillError::NotBegun(error),
            other => other,
        };
        let begun = ledger::begin(&mut connection, config).map_err(not_begun)?;
        let totals = ledger::totals(&mut connection, begun.run)?;
        observer.event(&Event::RunStarted {
            run: begun.run,
            resumed: begun.resumed,
            eligible: begun.eligible,
            totals,
        });
        let engine = Engine { connect, config, observer, run: begun.run, here: Mutex::default() };
        // One worker. The pool is where more of them will stand side by side.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|index| format!("backfill-{index}"))
            .build()
            .map_err(|e| BackfillError::Threads(e.to_string()))?;
        let ending = pool.install(|| engine.work(&mut connection))?;
        let totals = ledger::totals(&mut connection, begun.run)?;
        if matches!(ending, Ending::Complete | Ending::StillMissing(_)) {
            observer.event(&Event::RunFinished { totals, complete: ending == Ending::Complete });
        }
        let here = *engine.here.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Self { run: begun.run, resumed: begun.resumed, ending, totals, here })
    }
}

impl Engine<'_> {
    /// The loop of a worker.
    fn work(&self, connection: &mut AnyConnection) -> Result<Ending, BackfillError> {
        let limits = chunk::limits(connection).doing("reading deadlock_timeout")?;
        loop {
            if self.config.stop.is_set() {
                return Ok(Ending::Stopped);
            }
            match self.next(connection)? {
                Next::Chunk(lease) => self.work_on(connection, &lease, limits)?,
                Next::Wait(owner) => {
                    self.observer.event(&Event::WaitingForLease { owner });
                    std::thread::sleep(LOOK_AGAIN);
                }
                Next::SweepDone(sweep) => {
                    if let Some(ending) = self.end_sweep(connection, sweep)? {
                        return Ok(ending);
                    }
                }
                Next::RunOver => return Ok(Ending::EndedElsewhere),
            }
        }
    }

    /// The next lease; on SQLite another process may hold the file, so this too is tried again.
    fn next(&self, connection: &mut AnyConnection) -> Result<Next, BackfillError> {
        let mut retried = 0;
        loop {
            match lease::next(connection, self.run, self.config) {
                Ok(next) => return Ok(next),
                Err(error) => {
                    let error = BackfillError::from(error);
                    self.rest(connection, error, &mut retried, 0)?;
                }
            }
        }
    }

    /// Works on a chunk until it is committed, here or by somebody who took the lease over.
    fn work_on(
        &self,
        connection: &mut AnyConnection,
        lease: &Lease,
        limits: Limits,
    ) -> Result<(), BackfillError> {
        if let Some(from) = &lease.taken_from {
            self.observer.event(&Event::LeaseTaken { number: lease.number, from: from.clone() });
        }
        let mut retried = 0;
        loop {
            let begun = std::time::Instant::now();
            let (error, at_commit) = match chunk::run(connection, lease, limits, self.config) {
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
            self.rest(connection, error, &mut retried, lease.number)?;
            if at_commit && lost {
                match self.ask(connection, lease)? {
                    Standing::Done => {
                        let totals = self.read_back(connection, lease)?;
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
        *self.here.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += totals;
        self.observer.event(&Event::ChunkDone { sweep: lease.sweep, number: lease.number, totals, duration });
    }

    /// Asks the ledger what became of a chunk whose COMMIT was not answered, before anything else is done.
    fn ask(&self, connection: &mut AnyConnection, lease: &Lease) -> Result<Standing, BackfillError> {
        lease::standing(connection, lease)
            .map_err(|e| BackfillError::Unknown { number: lease.number, source: Box::new(e.into()) })
    }

    fn read_back(&self, connection: &mut AnyConnection, lease: &Lease) -> Result<Totals, BackfillError> {
        Ok(ledger::chunk_totals(connection, lease.chunk)?)
    }

    /// Rests before the next try when `error` is one that passes; gives it back when it is not, or came too often.
    /// A lost connection is opened anew.
    fn rest(
        &self,
        connection: &mut AnyConnection,
        error: BackfillError,
        retried: &mut u32,
        number: i32,
    ) -> Result<(), BackfillError> {
        let passes = matches!(
            error.fault(),
            Fault::Transient | Fault::LockTimeout | Fault::StatementTimeout | Fault::ConnectionLost
        );
        if !passes || *retried >= retry::RETRIES || self.config.stop.is_set() {
            return Err(error);
        }
        *retried += 1;
        let rest = retry::rest(*retried);
        let reason = error.to_string();
        self.observer.event(&Event::ChunkRetried { number, retry: *retried, reason, rest });
        std::thread::sleep(rest);
        if error.fault() == Fault::ConnectionLost {
            // A server that restarts refuses connections for a while: each refusal counts as a try.
            loop {
                match (self.connect)() {
                    Ok(opened) => {
                        *connection = opened;
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

    /// All chunks of a sweep are done: is anything missing? Then another sweep, unless this was the last one.
    fn end_sweep(&self, connection: &mut AnyConnection, sweep: i32) -> Result<Option<Ending>, BackfillError> {
        let missing = ledger::missing(connection, self.config.scope)?;
        self.observer.event(&Event::SweepDone { sweep, missing });
        write_transaction(connection, |connection| {
            let run = ledger::lock_run(connection, self.run)?;
            if run.state != "active" {
                return Ok(Some(Ending::EndedElsewhere));
            }
            if run.sweep != sweep {
                return Ok(None);
            }
            if missing == 0 {
                ledger::finish(connection, self.run, None)?;
                return Ok(Some(Ending::Complete));
            }
            if sweep >= LAST_SWEEP {
                let reason = format!("{missing} projects still lack their row after sweep {sweep}");
                ledger::finish(connection, self.run, Some(&reason))?;
                return Ok(Some(Ending::StillMissing(missing)));
            }
            ledger::next_sweep(connection, self.run)?;
            Ok(None)
        })
    }
}

fn failed(what: &str, lease: &Lease, source: diesel::result::Error) -> BackfillError {
    DbError { doing: format!("{what} chunk {}", lease.number), source }.into()
}
