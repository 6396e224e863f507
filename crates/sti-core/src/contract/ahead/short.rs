//! The last step, and the only one under locks on all three tables: what is left of the change log, the gates, the
//! drop. Nothing in it depends on the number of projects.

use std::time::{Duration, Instant};

use super::Work;
use crate::backfill::StopSignal;
use crate::contract::attempt::{Made, Stop, drop_columns};
use crate::contract::change_log::take::{self, Entries};
use crate::contract::change_log::triggers;
use crate::contract::error::ContractError;
use crate::contract::event::{self, Recorded};
use crate::contract::locks::AsDbError as _;
use crate::contract::look::{Look, Place, look};
use crate::contract::outcome::Refusal;
use crate::contract::run;
use crate::contract::tally::{BATCH, Tally};
use crate::db::dialect;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, Failed, Fault, write_transaction_phased};
use crate::expand::TABLES;
use crate::probe::{Sabotage, Step};

/// More entries than this are not even counted by projects.
const MOST_ENTRIES: i64 = 10_000;

/// A client that is slow for so long does not stand still.
const STANDSTILL: Duration = Duration::from_millis(500);

/// What is the same for every attempt after the same rounds.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) run: i64,
    /// What the snapshot had.
    pub(super) base: &'a Look,
    /// What is known by now.
    pub(super) tally: &'a Tally,
    /// Where the tables were stored when the change log began.
    pub(super) stored: &'a str,
}

/// Runs one attempt. `recorded` is set as soon as the event has its id: if the answer to COMMIT is lost, that is what
/// to look for.
pub(super) fn attempt(
    connection: &mut AnyConnection,
    job: &Job<'_>,
    recorded: &mut Option<Recorded>,
) -> Result<Made, Failed<Stop>> {
    let probe = &job.work.options.probe;
    let mut locked = None;
    probe.at(Step::Begin);
    let made = write_transaction_phased(connection, |connection| {
        let made = under_locks(connection, job, recorded, &mut locked)?;
        if job.work.rehearsal {
            return Err(Stop::Rehearsed(made));
        }
        probe.at(Step::Commit);
        Ok(made)
    });
    // The locks end with the transaction.
    let held = locked.map_or(Duration::ZERO, |since: Instant| since.elapsed());
    match made {
        Ok(made) => Ok(Made { held, ..made }),
        Err(Failed::Body(Stop::Rehearsed(made))) => Err(Failed::Body(Stop::Rehearsed(Made { held, ..made }))),
        // A statement that ran for longer than the locks may be held.
        Err(Failed::Body(Stop::Failed(error))) if ran_too_long(&error, job, held) => {
            Err(Failed::Body(too_long(job, held)))
        }
        other => other,
    }
}

/// A timeout that fires just as its statement ends hits the next one, and the server then says that a user has asked for
/// it. So a cancellation counts too, once the time of a statement is over and nobody has asked.
fn ran_too_long(error: &ContractError, job: &Job<'_>, held: Duration) -> bool {
    let options = job.work.options;
    let asked = options.stop().is_some_and(StopSignal::is_set);
    match error.as_db_error().map(DbError::fault) {
        Some(Fault::StatementTimeout) => true,
        Some(Fault::Cancelled) => !asked && held >= longest_statement(options.max_lock),
        _ => false,
    }
}

/// No statement under the locks runs for longer.
fn longest_statement(allowed: Duration) -> Duration {
    (allowed / 2).max(Duration::from_millis(1))
}

fn under_locks(
    connection: &mut AnyConnection,
    job: &Job<'_>,
    recorded: &mut Option<Recorded>,
    locked: &mut Option<Instant>,
) -> Result<Made, Stop> {
    let Work { options, .. } = *job.work;
    let probe = &options.probe;
    probe.at(Step::Lock);
    if probe.sabotage() != Sabotage::Lock {
        lock(connection, job.work.lock)?;
    }
    let time = Time { since: *locked.insert(Instant::now()), job };
    time.limit(connection)?;
    probe.at(Step::Look);
    run::hold(connection, job.run, Some(job.tally.seen))?;
    watched_throughout(connection, job)?;
    let tally = last_round(connection, job)?;
    time.limit(connection)?;
    let found = look(connection, options, Place::Short(&job.base.plan, &tally))?;
    if !found.plan.is_open() {
        return Err(Stop::Refused(Box::new(found.plan), Refusal::GatesUnderLock));
    }
    if found.covered != job.work.before.covered {
        let given = job.work.digest.to_owned();
        return Err(Stop::Refused(Box::new(found.plan), Refusal::AnotherPlan { given }));
    }
    time.limit(connection)?;
    probe.at(Step::Write);
    let definitions = serde_json::to_string(&found.definitions).unwrap_or_default();
    let event = event::record(connection, Some(job.run), &found.plan, &definitions, job.work.digest)?;
    *recorded = Some(event);
    probe.at(Step::Drop);
    drop_columns(connection)?;
    for table in TABLES {
        triggers::remove(connection, table)?;
    }
    triggers::remove_functions(connection)?;
    time.limit(connection)?;
    probe.at(Step::Record);
    event::complete(connection, job.run, tally.archived, time.since.elapsed())?;
    run::made(connection, job.run)?;
    Ok(Made { plan: Box::new(found.plan), event: job.run, archived: tally.archived, held: Duration::ZERO })
}

/// All three tables by one statement, which waits no longer for all of them than it may for one.
fn lock(connection: &mut AnyConnection, longest: Duration) -> Result<(), Stop> {
    let locked = dialect::lock_all_within(connection, &TABLES, longest).doing("locking the three tables");
    locked.map_err(|error: DbError| match error.fault() {
        Fault::LockTimeout | Fault::StatementTimeout | Fault::Transient => Stop::NotLocked(error),
        _ => error.into(),
    })
}

/// Fails unless every write since the snapshot is in the change log.
fn watched_throughout(connection: &mut AnyConnection, job: &Job<'_>) -> Result<(), Stop> {
    if job.work.options.probe.sabotage() == Sabotage::ChangeLog {
        return Ok(());
    }
    let complete = triggers::are_complete(connection)?;
    let stored = dialect::storage(connection, &TABLES).doing("asking where the tables are stored")?;
    if complete && stored == job.stored {
        return Ok(());
    }
    let plan = Box::new(job.tally.plan(&job.base.plan));
    Err(Stop::Refused(plan, Refusal::Rewritten { table: None }))
}

/// What is left in the change log, if it is little.
fn last_round(connection: &mut AnyConnection, job: &Job<'_>) -> Result<Tally, Stop> {
    let mut tally = job.tally.clone();
    if take::entries(connection, MOST_ENTRIES)? == MOST_ENTRIES {
        return Err(Stop::TooMuch);
    }
    if tally.catch_up(connection, job.run, Some(BATCH), &job.work.options.probe)?.is_none() {
        return Err(Stop::TooMuch);
    }
    if let Some(table) = tally.truncated.first() {
        let why = Refusal::Rewritten { table: Some(table.clone()) };
        return Err(Stop::Refused(Box::new(tally.plan(&job.base.plan)), why));
    }
    take::delete(connection, Entries::Taken)?;
    Ok(tally)
}

fn too_long(job: &Job<'_>, held: Duration) -> Stop {
    let plan = Box::new(job.tally.plan(&job.base.plan));
    Stop::Refused(plan, Refusal::LockTooLong { held, allowed: job.work.options.max_lock })
}

/// The time under the locks.
struct Time<'a> {
    since: Instant,
    job: &'a Job<'a>,
}

impl Time<'_> {
    /// No statement runs beyond the time that is allowed, nor for more than half of it; once it is over, so is the
    /// attempt. Nor do the locks outlive a client that stands still: its session is ended, and that is a lost one.
    fn limit(&self, connection: &mut AnyConnection) -> Result<(), Stop> {
        let allowed = self.job.work.options.max_lock;
        let held = self.since.elapsed();
        let left = allowed.saturating_sub(held);
        if left.is_zero() {
            return Err(too_long(self.job, held));
        }
        let statement = left.min(longest_statement(allowed));
        let limited = dialect::limit_locked(connection, statement, left.max(STANDSTILL));
        Ok(limited.doing("limiting the time under the locks")?)
    }
}
