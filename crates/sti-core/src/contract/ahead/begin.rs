//! The first step: the record of the run, and the triggers of the change log, each table in a transaction of its own.

use super::Work;
use crate::contract::attempt::legacy_columns;
use crate::contract::attempts::{Ended, Tries};
use crate::contract::change_log::triggers;
use crate::contract::error::ContractError;
use crate::contract::leftovers;
use crate::contract::locks::{AsDbError as _, Attempts, Tables, Undone, Waiting, under_locks};
use crate::contract::look::already_dropped;
use crate::contract::outcome::Blocked;
use crate::contract::progress::Progress;
use crate::contract::run;
use crate::contract::session::{Unknown, not_asked};
use crate::db::dialect::{self, Against, LockHolder};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, Fault};
use crate::expand::{Retry, TABLES};
use crate::mapping::LEGACY_COLUMNS;
use crate::probe::Sabotage;

/// What came of it.
pub(super) enum Began {
    /// The change log is there, for this run.
    Run(i64),
    /// It came to an end; there is nothing more to do.
    Ended(Ended),
}

/// Waits until no other drop is at work, takes away what dead ones have left, and begins. `run` is set as soon as
/// there may be something to take away.
///
/// Each table is locked against everybody, readers included, though the triggers need less: they can only be taken
/// away again under such a lock, and who stands in its way is better known before anything is done.
pub(super) fn begin(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    run: &mut Option<i64>,
    tries: &mut Tries<'_>,
) -> Result<Began, ContractError> {
    let options = work.options;
    loop {
        options.go_on()?;
        let cleared = leftovers::clear(connection, options, None, &mut |progress| match progress {
            Progress::Retry(retry) => tries.failed_elsewhere(retry),
            progress => tries.tell(progress),
        });
        match cleared {
            Err(error) if error.as_db_error().map(DbError::fault) == Some(Fault::LockTimeout) => {
                options.go_on()?;
                let holders = dialect::lock_holders(connection, &TABLES, Against::Everybody);
                let holders = holders.doing("asking who holds the locks")?;
                return Ok(blocked(work, tries.number(), holders, error.to_string()));
            }
            cleared => cleared?,
        }
        let others = run::open(connection)?;
        if others.is_empty() {
            break;
        }
        let reason = "another drop or rehearsal is at work".to_owned();
        if let Some(blocked) = tries.failed_for(others, reason, &work.before.plan) {
            options.go_on()?;
            return Ok(Began::Ended(Ended::Blocked(Blocked { by_another_drop: true, ..blocked })));
        }
    }
    tries.tell(&Progress::Watching);
    let attempts = Attempts { attempts: options.attempts, lock_timeout: options.lock_timeout };
    let limits = Waiting::until(attempts, options.stop());
    // That of the projects comes last: whoever's change of legacy columns is logged, the row that it writes in the same
    // transaction is, too.
    for table in TABLES.into_iter().rev() {
        let mut tell = |retry: &Retry| tries.failed_elsewhere(retry);
        // A COMMIT without an answer is the end of this command; what it has left the next one takes away.
        let step = |connection: &mut AnyConnection| install(connection, work, table, *run);
        let made = under_locks(connection, Tables::One(table), limits, &mut tell, step, not_asked);
        match made {
            Ok((id, _)) => *run = Some(id),
            Err(Undone::Locked { attempts, holders, source }) => {
                options.go_on()?;
                return Ok(blocked(work, attempts, holders, source.to_string()));
            }
            Err(Undone::Unknown(Unknown { source, .. })) => {
                return Ok(Began::Ended(Ended::Lost { source, at_commit: None }));
            }
            Err(Undone::Failed(error)) => return ended(error),
        }
    }
    run.map(Began::Run).ok_or(ContractError::Overtaken)
}

fn blocked(work: &Work<'_>, attempts: u32, holders: Vec<LockHolder>, reason: String) -> Began {
    let plan = Box::new(work.before.plan.clone());
    Began::Ended(Ended::Blocked(Blocked { plan, attempts, holders, reason, by_another_drop: false }))
}

fn ended(error: ContractError) -> Result<Began, ContractError> {
    super::lost(error).map(Began::Ended)
}

/// In the transaction that has the lock on `table`; gives the run, which the first of them records.
fn install(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    table: &'static str,
    run: Option<i64>,
) -> Result<i64, ContractError> {
    work.options.go_on()?;
    let id = match run {
        Some(id) => {
            run::hold(connection, id, None)?;
            id
        }
        None => first(connection, work)?,
    };
    if work.options.probe.sabotage() != Sabotage::ChangeLog {
        triggers::install(connection, table)?;
    }
    Ok(id)
}

fn first(connection: &mut AnyConnection, work: &Work<'_>) -> Result<i64, ContractError> {
    // Under the lock on the table: who has dropped the columns meanwhile was there first.
    if legacy_columns(connection)? < LEGACY_COLUMNS.len() {
        return Err(already_dropped(connection)?);
    }
    if !run::open(connection)?.is_empty() {
        return Err(ContractError::Overtaken);
    }
    let id = run::begin(connection, work.rehearsal)?;
    triggers::make_functions(connection)?;
    Ok(id)
}
