//! The engine: begins or takes up a run, sets its workers to work side by side, and says how it ended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::config::{BackfillConfig, StopSignal};
use super::dry_run::check_schema;
use super::error::BackfillError;
use super::ledger::{self, RunId};
use super::size::Sizer;
use super::terms::Terms;
use super::throttle::Throttle;
use super::totals::Totals;
use super::worker::Worker;
use crate::db::{AnyConnection, Backend, ConnectError, Fault, count_snapshot, dialect, retry};
use crate::observe::{Event, Observer};

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
    /// Somebody gave the run up: `sti cancel`, `--restart` in another process, or `sti-migrate back-out`. The ledger says
    /// who and why.
    GivenUp,
    /// Another process ended the run, and not well. The ledger says why.
    FailedElsewhere,
    /// The database refused more rows than `max_error_rate` allows. The run is under way: the refused projects are in
    /// quarantine, the ledger says why it stopped, and the same command resumes it.
    TooManyErrors {
        /// Projects whose row was refused, of those that this process committed.
        errors: i64,
        /// Projects that this process committed.
        projects: i64,
    },
}

impl Ending {
    /// How a run ended that somebody else has ended, by its state in the ledger.
    pub(super) fn elsewhere(state: &str) -> Self {
        match state {
            "done" => Self::Complete,
            "abandoned" => Self::GivenUp,
            _ => Self::FailedElsewhere,
        }
    }
}

/// What a backfill did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// The run, as the ledger has it.
    pub run: RunId,
    /// It was taken up again, not begun.
    pub resumed: bool,
    /// How it ended.
    pub ending: Ending,
    /// Why, where the ledger says so.
    pub stop_reason: Option<String>,
    /// What the ledger holds for the whole run, whoever did it.
    pub totals: Totals,
    /// What this process committed.
    pub here: Totals,
}

/// What the workers of a process share.
pub(super) struct Engine<'a> {
    pub connect: &'a (dyn Fn() -> Result<AnyConnection, ConnectError> + Sync),
    pub config: &'a BackfillConfig,
    pub observer: &'a dyn Observer,
    pub run: RunId,
    pub terms: Terms,
    /// Set when the caller asks for a stop, and when a worker fails.
    pub stop: StopSignal,
    pub throttle: Throttle<'a>,
    pub sizer: Mutex<Sizer>,
    /// The last sweep that was ended here.
    pub ended_sweep: Mutex<i32>,
    here: Mutex<Totals>,
    outcome: Mutex<Outcome>,
}

impl Backfill {
    /// Runs a backfill: takes up the run that is under way, or begins one, and works on its chunks until the run is
    /// complete or `config.stop` is set.
    ///
    /// Opens one connection for each of `config.workers`, and works on as many chunks at a time. Each chunk locks its
    /// projects (FOR NO KEY UPDATE, in key order) until it commits, waits at most 300 ms for one lock, and is retried 5
    /// times with growing rests. Between chunks nothing is locked. When one worker fails, the others finish their
    /// chunk and stop.
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
        let connect = &|| {
            let mut connection = connect()?;
            dialect::enlarge_cache(&mut connection);
            Ok(connection)
        };
        let mut connection = connect()?;
        if config.throttle.max_lag.is_some() && dialect::backend(&connection) == Backend::Sqlite {
            return Err(BackfillError::NoReplication);
        }
        let patiently = Patience { config, observer };
        patiently.run(|| count_snapshot(&mut connection, check_schema))?;
        let terms = Terms::read(&mut connection, config.sizing).map_err(BackfillError::NotBegun)?;
        let backend = dialect::backend(&connection);
        let workers = match backend {
            Backend::Postgres => config.workers.max(1),
            Backend::Sqlite => 1,
        };
        // All of them now: a server that has no room for them says so before anything is written.
        let mut connections = (1..workers).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
        let begun = patiently.run(|| ledger::begin(&mut connection, config))?;
        let totals = ledger::totals(&mut connection, begun.run)?;
        observer.event(&Event::RunStarted {
            run: begun.run,
            resumed: begun.resumed,
            eligible: begun.eligible,
            totals,
        });
        let stop = config.stop.below();
        let throttle = Throttle::new(config, begun.run, stop.clone(), observer);
        let engine = Engine {
            connect,
            config,
            observer,
            run: begun.run,
            terms,
            stop,
            throttle,
            sizer: Mutex::new(Sizer::new(config.sizing, backend)),
            ended_sweep: Mutex::default(),
            here: Mutex::default(),
            outcome: Mutex::default(),
        };
        connections.push(connection);
        let (ending, mut connection) = match engine.work(connections) {
            Ok(ended) => ended,
            Err(error) => {
                // The connections may be what failed.
                if let Ok(mut connection) = connect() {
                    engine.note_stop(&mut connection, &format!("{}: {error}", config.owner));
                }
                return Err(error);
            }
        };
        match ending {
            Ending::Stopped => {
                engine.note_stop(&mut connection, &format!("{}: asked to stop", config.owner));
            }
            Ending::TooManyErrors { errors, projects } => {
                engine.note_stop(&mut connection, &config.max_error_rate.exceeded_by(errors, projects));
            }
            _ => {}
        }
        let standing = match ledger::standing(&mut connection, begun.run) {
            Ok(standing) => standing,
            // The run has ended, or was stopped, over a connection that is lost by now.
            Err(_) => ledger::standing(&mut connect()?, begun.run)?,
        };
        let ledger::Standing { state, totals, stop_reason } = standing;
        // Somebody may have given it up since.
        let ending = match ending {
            Ending::Stopped | Ending::TooManyErrors { .. } if state != "active" => Ending::elsewhere(&state),
            ending => ending,
        };
        if matches!(ending, Ending::Complete | Ending::StillMissing(_)) {
            observer.event(&Event::RunFinished { totals, complete: ending == Ending::Complete });
        }
        let here = *lock(&engine.here);
        Ok(Self { run: begun.run, resumed: begun.resumed, ending, stop_reason, totals, here })
    }
}

/// What comes before a run has begun: while somebody keeps a table to himself, it is tried again for up to `max_wait`.
struct Patience<'a> {
    config: &'a BackfillConfig,
    observer: &'a dyn Observer,
}

impl Patience<'_> {
    fn run<T>(&self, mut work: impl FnMut() -> Result<T, BackfillError>) -> Result<T, BackfillError> {
        let first = Instant::now();
        let mut retry = 0;
        loop {
            let error = match work() {
                Err(error) if error.fault() == Fault::LockTimeout => error,
                Err(BackfillError::Database(error)) => return Err(BackfillError::NotBegun(error)),
                done => return done,
            };
            if first.elapsed() >= self.config.max_wait || self.config.stop.is_set() {
                return Err(error);
            }
            retry += 1;
            let rest = retry::rest(retry.min(retry::RETRIES));
            let (fault, reason) = (error.fault(), error.to_string());
            self.observer.event(&Event::LedgerRetried { retry, fault, reason, rest });
            self.config.stop.rest(rest);
        }
    }
}

impl Engine<'_> {
    /// Sets a worker to work on each connection, waits for all of them, and gives back how the run ended for this
    /// process, with one of the connections.
    fn work(&self, connections: Vec<AnyConnection>) -> Result<(Ending, AnyConnection), BackfillError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(connections.len())
            .thread_name(|index| format!("backfill-{index}"))
            .build()
            .map_err(|e| BackfillError::Threads(e.to_string()))?;
        let connections = Mutex::new(connections);
        pool.broadcast(|_| {
            // There are as many connections as threads.
            let Some(connection) = lock(&connections).pop() else { return };
            let mut worker = Worker::new(self, connection);
            match worker.work() {
                Ok(ending) => lock(&self.outcome).ended(ending),
                Err(error) => self.failed(error),
            }
            lock(&connections).push(worker.connection);
        });
        let Outcome { ending, failure } = std::mem::take(&mut *lock(&self.outcome));
        let over = matches!(ending, Some(Ending::Complete | Ending::StillMissing(_)));
        match (failure, lock(&connections).pop()) {
            (Some(error), _) if !over => Err(error),
            (error, Some(connection)) => {
                // Another worker ended the run all the same, so this one's failure cost nothing.
                error.into_iter().for_each(|error| self.tell_failure(&error));
                Ok((ending.unwrap_or(Ending::Stopped), connection))
            }
            (_, None) => unreachable!("every worker gives its connection back"),
        }
    }

    /// A worker could not go on: the others stop after their chunk. The first failure is what the run is said to have
    /// failed of; the others are told as they come.
    fn failed(&self, error: BackfillError) {
        self.stop.stop();
        let mut outcome = lock(&self.outcome);
        if outcome.failure.is_none() {
            outcome.failure = Some(error);
        } else {
            self.tell_failure(&error);
        }
    }

    fn tell_failure(&self, error: &BackfillError) {
        self.observer.event(&Event::WorkerFailed { reason: error.to_string() });
    }

    /// Writes down why this process goes, for those who look at the run. A convenience: nothing depends on it.
    fn note_stop(&self, connection: &mut AnyConnection, why: &str) {
        let _ = ledger::note_stop(connection, self.run, why);
    }

    /// A chunk was committed here. Gives back what has been committed by now.
    pub(super) fn committed(&self, totals: Totals) -> Totals {
        let mut here = lock(&self.here);
        *here += totals;
        *here
    }
}

/// How the workers ended, taken together.
#[derive(Default)]
struct Outcome {
    ending: Option<Ending>,
    failure: Option<BackfillError>,
}

impl Outcome {
    /// One worker sees how the run ended, the others only that it has.
    fn ended(&mut self, ending: Ending) {
        let tells = |ending| match ending {
            Ending::Complete | Ending::StillMissing(_) => 3,
            Ending::GivenUp | Ending::FailedElsewhere => 2,
            Ending::TooManyErrors { .. } => 1,
            Ending::Stopped => 0,
        };
        if self.ending.is_none_or(|known| tells(ending) > tells(known)) {
            self.ending = Some(ending);
        }
    }
}

/// A worker that panicked takes the process with it; its lock is no reason for another panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
