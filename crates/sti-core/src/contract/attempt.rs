//! One attempt at the drop where everything is one transaction (SQLite): all between taking the locks and COMMIT.

use std::time::{Duration, Instant};

use super::archive::archive;
use super::attempts::Tries;
use super::error::ContractError;
use super::event::{self, Recorded};
use super::look::{Look, Place, look};
use super::options::DropOptions;
use super::outcome::Refusal;
use super::plan::DropPlan;
use super::progress::Progress;
use crate::db::dialect::{self, Limits};
use crate::db::error::Doing as _;
use crate::db::migrations;
use crate::db::{AnyConnection, DbError, Failed, catalog, write_transaction_phased};
use crate::expand::TABLES;
use crate::mapping::{LEGACY_COLUMNS, PARENT};
use crate::probe::{Sabotage, Step};
use crate::sync;

/// What is the same for every attempt.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) options: &'a DropOptions,
    pub(super) limits: Limits,
    /// What was found before anything was locked.
    pub(super) before: &'a Look,
    /// The digest that was confirmed.
    pub(super) digest: &'a str,
    /// Roll back at the end.
    pub(super) rehearsal: bool,
}

/// What was made under the locks.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) plan: Box<DropPlan>,
    pub(super) event: i64,
    pub(super) archived: i64,
    /// How long the locks were held.
    pub(super) held: Duration,
}

/// Why an attempt was rolled back.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something changed between the plan and the locks.
    Refused(Box<DropPlan>, Refusal),
    /// It was a rehearsal, and came to its end.
    Rehearsed(Made),
    /// The locks were not to be had.
    NotLocked(DbError),
    /// So much was written since the last look that it is not worked off under the locks.
    TooMuch,
    Failed(ContractError),
}

impl<E: Into<ContractError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs one attempt. `recorded` is set as soon as the event has its id: if the answer to COMMIT is lost, that is
/// what to look for.
pub(super) fn attempt(
    connection: &mut AnyConnection,
    job: &Job<'_>,
    tries: &mut Tries<'_>,
    recorded: &mut Option<Recorded>,
) -> Result<Made, Failed<Stop>> {
    let mut locked = None;
    job.options.probe.at(Step::Begin);
    tries.tell(&Progress::Locking);
    let made = write_transaction_phased(connection, |connection| {
        let made = under_locks(connection, job, tries, recorded, &mut locked)?;
        if job.rehearsal {
            return Err(Stop::Rehearsed(made));
        }
        job.options.probe.at(Step::Commit);
        Ok(made)
    });
    // The locks end with the transaction.
    let held = locked.map_or(Duration::ZERO, |since: Instant| since.elapsed());
    match made {
        Ok(made) => Ok(Made { held, ..made }),
        Err(Failed::Body(Stop::Rehearsed(made))) => Err(Failed::Body(Stop::Rehearsed(Made { held, ..made }))),
        other => other,
    }
}

fn under_locks(
    connection: &mut AnyConnection,
    job: &Job<'_>,
    tries: &mut Tries<'_>,
    recorded: &mut Option<Recorded>,
    locked: &mut Option<Instant>,
) -> Result<Made, Stop> {
    let probe = &job.options.probe;
    dialect::limit_transaction(connection, job.limits).doing("limiting the transaction")?;
    probe.at(Step::Lock);
    if probe.sabotage() != Sabotage::Lock {
        dialect::lock_exclusively(connection, &TABLES).doing("locking the three tables")?;
    }
    let since = *locked.insert(Instant::now());
    probe.at(Step::Look);
    let found = look(connection, job.options, Place::UnderLocks(&job.before.plan))?;
    if !found.plan.is_open() {
        return Err(Stop::Refused(Box::new(found.plan), Refusal::GatesUnderLock));
    }
    if found.covered != job.before.covered {
        let given = job.digest.to_owned();
        return Err(Stop::Refused(Box::new(found.plan), Refusal::AnotherPlan { given }));
    }
    job.options.go_on()?;
    probe.at(Step::Write);
    tries.tell(&Progress::Archiving { projects: found.plan.archive_rows });
    let definitions = serde_json::to_string(&found.definitions).unwrap_or_default();
    let event = event::record(connection, None, &found.plan, &definitions, job.digest)?;
    let id = event.id;
    *recorded = Some(event);
    let archived = archive(connection, id)?;
    expect("rows in the archive", found.plan.archive_rows, archived)?;
    job.options.go_on()?;
    probe.at(Step::Drop);
    drop_columns(connection)?;
    probe.at(Step::Record);
    event::complete(connection, id, archived, since.elapsed())?;
    Ok(Made { plan: Box::new(found.plan), event: id, archived, held: Duration::ZERO })
}

pub(super) fn drop_columns(connection: &mut AnyConnection) -> Result<(), ContractError> {
    sync::remove_for_drop(connection)?;
    dialect::give_permit(connection).doing("giving the permit")?;
    let ran = migrations::run_drop(connection)?;
    expect("the drop's migration to run and be recorded", true, ran)?;
    expect("legacy columns that are left", 0, legacy_columns(connection)?)
}

/// How many of the five are there.
pub(super) fn legacy_columns(connection: &mut AnyConnection) -> Result<usize, DbError> {
    let columns = catalog::columns(connection, PARENT)?;
    Ok(columns.iter().filter(|column| LEGACY_COLUMNS.contains(&column.name.as_str())).count())
}

pub(super) fn expect<T>(what: &str, expected: T, found: T) -> Result<(), ContractError>
where
    T: PartialEq + std::fmt::Display + Copy,
{
    if expected == found {
        return Ok(());
    }
    Err(ContractError::Unexpected { expected: format!("{what}: {expected}"), found: found.to_string() })
}
