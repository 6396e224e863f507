//! What a drop or rehearsal leaves behind that was killed, or could not take it away itself: triggers of the change
//! log, its entries, archived rows of a drop that was never made. The next drop or rehearsal takes it away, or
//! `sti-migrate up`.

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use super::archive;
use super::change_log::take::{self, Entries};
use super::change_log::{self, triggers};
use super::error::ContractError;
use super::locks::{Attempts, Tables, Undone, Waiting, under_locks};
use super::options::DropOptions;
use super::progress::Progress;
use super::run::{self, TakenAway, UnmadeRun};
use super::session::{Unknown, not_asked};
use crate::db::dialect;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, catalog, read_snapshot};
use crate::expand::{Retry, TABLES};

/// What is there of drops that were not made. Some of it may belong to one that is at work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// The runs, those included that are at work.
    pub runs: Vec<UnmadeRun>,
    /// Rows that they have archived.
    pub archived: i64,
    /// The tables on which the change log's triggers are.
    pub triggers: Vec<&'static str>,
    /// Whether the triggers' functions are there.
    pub functions: bool,
    /// Entries in the change log; counted up to 1,000,000.
    pub entries: i64,
}

impl Leftovers {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a drop or a rehearsal is at work, to which all of it may belong.
    #[must_use]
    pub fn at_work(&self) -> bool {
        self.runs.iter().any(|run| run.at_work)
    }
}

/// The most entries of the change log that are counted.
const MOST_ENTRIES: i64 = 1_000_000;

/// Looks. Nothing on SQLite, where a drop is one transaction, and before our migrations have run.
///
/// # Errors
/// Whatever the database says.
pub fn leftovers(connection: &mut AnyConnection) -> Result<Leftovers, DbError> {
    if !dialect::backend(connection).works_ahead_of_locks() {
        return Ok(Leftovers::default());
    }
    read_snapshot(connection, look)
}

fn look(connection: &mut AnyConnection) -> Result<Leftovers, DbError> {
    for table in ["sti_drop_run", "sti_legacy_archive", change_log::TABLE, TABLES[0]] {
        if catalog::relation(connection, table)?.is_none() {
            return Ok(Leftovers::default());
        }
    }
    let runs = run::unmade(connection)?;
    let archived = if runs.is_empty() { 0 } else { archived(connection)? };
    Ok(Leftovers {
        runs,
        archived,
        triggers: triggers::tables(connection)?,
        functions: triggers::functions_are_there(connection)?,
        entries: take::entries(connection, MOST_ENTRIES)?,
    })
}

fn archived(connection: &mut AnyConnection) -> Result<i64, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let row: Row = diesel::sql_query(
        "SELECT count(*) AS rows FROM sti_legacy_archive WHERE event_id IN \
         (SELECT id FROM sti_drop_run WHERE event_id IS NULL)",
    )
    .get_result(connection)
    .doing("counting what drops that were not made have archived")?;
    Ok(row.rows)
}

/// Takes away what drops and rehearsals have left that were killed. Nothing of one that is at work is touched.
///
/// Locks: as a drop takes them, [`DropOptions::attempts`] times for [`DropOptions::lock_timeout`]; of the triggers' tables one
/// at a time, against everybody.
///
/// # Errors
/// The locks were not to be had, or whatever the database says. What could be taken away is gone then.
pub fn clear_leftovers(
    connection: &mut AnyConnection,
    options: &DropOptions,
    retrying: &mut dyn FnMut(&Retry),
) -> Result<(), ContractError> {
    clear(connection, options, None, &mut |progress| {
        if let Progress::Retry(retry) = progress {
            retrying(retry);
        }
    })
}

/// Takes away what is left of dead runs, and of the one that is `mine`. Nothing of one that is at work is touched.
///
/// First of all the runs are given up, so that none of them can be made any more. What is left of dead runs waits for the
/// next command if this one is asked to stop. Locks: against other
/// `sti-migrate`s; ACCESS EXCLUSIVE on one table at a time for the triggers, waited for as the drop does.
///
/// # Errors
/// The locks were not to be had, or whatever the database says. What could be taken away is gone then.
pub(super) fn clear(
    connection: &mut AnyConnection,
    options: &DropOptions,
    mine: Option<i64>,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(), ContractError> {
    let found = leftovers(connection)?;
    if found.is_empty() {
        return Ok(());
    }
    if mine.is_some() {
        tell(&Progress::CleaningUp);
    } else if !found.at_work() {
        tell(&Progress::ClearingLeftovers);
    }
    let retrying = &mut |retry: &Retry| tell(&Progress::Retry(retry.clone()));
    let attempts = Attempts { attempts: options.attempts, lock_timeout: options.lock_timeout };
    let stop = options.stop().filter(|_| mine.is_none());
    let go_on = || if stop.is_some() { options.go_on() } else { Ok(()) };
    let limits = Waiting::until(attempts, stop);
    go_on()?;
    done(under_locks(
        connection,
        Tables::None,
        limits,
        retrying,
        |connection| run::give_up(connection, mine),
        not_asked,
    ))?;
    // Asked before anything is locked: while a drop is at work, its tables are none to stand in the way of.
    let nobodys = done(under_locks(connection, Tables::None, limits, retrying, nobodys, not_asked))?;
    let untriggered = if nobodys { remove_triggers(connection, &found, limits, retrying) } else { Ok(()) };
    go_on()?;
    for run in found.runs {
        let (mut after, mut chunks) = (None, 0);
        while let TakenAway::Through(through) = done(under_locks(
            connection,
            Tables::None,
            limits,
            retrying,
            |connection| run::take_away(connection, run.id, after),
            not_asked,
        ))? {
            after = through;
            chunks += 1;
            if after.is_none() && chunks > 2 {
                archive::vacuum(connection);
            }
            go_on()?;
        }
    }
    untriggered
}

/// The triggers of dead runs: those that are there while no run is open.
fn remove_triggers(
    connection: &mut AnyConnection,
    found: &Leftovers,
    limits: Waiting<'_>,
    retrying: &mut dyn FnMut(&Retry),
) -> Result<(), ContractError> {
    if found.functions {
        // At once, whoever is in the way of the rest: writers do not fill the log for nobody.
        done(under_locks(
            connection,
            Tables::None,
            limits,
            retrying,
            |connection| {
                if nobodys(connection)? { triggers::silence(connection) } else { Ok(()) }
            },
            not_asked,
        ))?;
    }
    // First those that nobody is in the way of; whoever sits on one table is no reason to leave the others as they are.
    let mut held = Vec::new();
    for table in found.triggers.iter().copied() {
        if remove_from(connection, table, limits.once(), retrying)?.is_some() {
            held.push(table);
        }
    }
    let mut blocked = None;
    for table in held {
        let limits = if blocked.is_some() { limits.once() } else { limits };
        if let Some(error) = remove_from(connection, table, limits, retrying)? {
            blocked.get_or_insert(error);
        }
    }
    if let Some(error) = blocked {
        return Err(error);
    }
    done(under_locks(
        connection,
        Tables::None,
        limits,
        retrying,
        |connection| {
            if !nobodys(connection)? {
                return Ok(());
            }
            triggers::remove_functions(connection)?;
            take::delete(connection, Entries::Visible)
        },
        not_asked,
    ))
}

/// Takes the triggers of one table away; gives the error if its lock was not to be had.
fn remove_from(
    connection: &mut AnyConnection,
    table: &'static str,
    limits: Waiting<'_>,
    retrying: &mut dyn FnMut(&Retry),
) -> Result<Option<ContractError>, ContractError> {
    let removed = under_locks(
        connection,
        Tables::One(table),
        limits,
        retrying,
        |connection| if nobodys(connection)? { triggers::remove(connection, table) } else { Ok(()) },
        not_asked,
    );
    match removed {
        Err(Undone::Locked { source, .. }) => Ok(Some(source.into())),
        removed => done(removed).map(|()| None),
    }
}

/// Whether the change log is no run's that may still be made. In a transaction that keeps other `sti-migrate`s out, so
/// that none begins.
fn nobodys(connection: &mut AnyConnection) -> Result<bool, DbError> {
    Ok(run::open(connection)?.is_empty())
}

fn done<T>(undone: Result<(T, u32), Undone<DbError>>) -> Result<T, ContractError> {
    match undone {
        Ok((value, _)) => Ok(value),
        Err(
            Undone::Locked { source, .. } | Undone::Unknown(Unknown { source, .. }) | Undone::Failed(source),
        ) => Err(source.into()),
    }
}
