//! Making the triggers, or mending what is there of them.

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;

use super::error::{Blocker, SyncError};
use super::sql::{Places, Trigger};
use super::status::{self, Installed, SyncStatus};
use crate::contract::locks::{Attempts, Tables, under_locks};
use crate::contract::restore;
use crate::contract::session::{Became, Session, Steps as _};
use crate::db::catalog;
use crate::db::dialect::{self, Against};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, ConnectError, DbError, read_snapshot};
use crate::expand::{self, LegacyColumns, Retry, TABLES};
use crate::mapping::PARENT;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Install {
    /// It is refused; nothing was changed.
    Refused(Vec<Blocker>),
    /// All of it was there, as it should be: nothing was done, and nothing locked.
    Already,
    /// The triggers are there, and fire for every statement that begins from now on.
    Done {
        /// What was wrong with what was there; empty where nothing was.
        mended: Vec<String>,
        /// In how many attempts.
        attempts: u32,
    },
}

/// Makes the function and the triggers in one transaction, anew where they are there and differ.
///
/// Locks: against other `sti-migrate`s, and SHARE ROW EXCLUSIVE on `projects_project`, which waits for the transactions
/// that have written to it, and their successors for it, no longer than [`Attempts::lock_timeout`]; readers go on.
/// So whatever was written without the triggers is committed before they are there, and a backfill that begins
/// afterwards sees it.
///
/// Where the answer to COMMIT is lost, a fresh connection of `connector` looks whether they are there.
///
/// # Errors
/// [`SyncError`]. Nothing was changed then, but for [`SyncError::Unknown`].
pub fn install(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    locks: Attempts,
    tell: &mut dyn FnMut(&Retry),
) -> Result<Install, SyncError> {
    let mut session = Session::open(connector)?;
    if dialect::backend(session.connection()) == Backend::Sqlite {
        return Err(SyncError::PostgresOnly);
    }
    refuse_others(session.connection())?;
    // Without a lock first: a refusal, or nothing to do, is no reason to stand in anybody's way.
    if let Some(answer) = read_snapshot(session.connection(), settled)? {
        return Ok(answer);
    }
    let tables = Tables::Parent(Against::Writers);
    let work = |connection: &mut AnyConnection| match settled(connection)? {
        Some(answer) => Ok(answer),
        None => make(connection),
    };
    let (install, attempts) =
        under_locks(&mut session, tables, locks, tell, work, |connection, install| match install {
            Install::Done { .. } => {
                Ok(Became::done_if(status::look(connection)?.installed == Installed::Yes))
            }
            Install::Refused(_) | Install::Already => Ok(Became::Done),
        })?;
    Ok(match install {
        Install::Done { mended, .. } => Install::Done { mended, attempts },
        answer => answer,
    })
}

/// The answer where there is nothing to do, or it must not be done.
fn settled(connection: &mut AnyConnection) -> Result<Option<Install>, SyncError> {
    let blockers = blockers(connection)?;
    if !blockers.is_empty() {
        return Ok(Some(Install::Refused(blockers)));
    }
    let there = status::look(connection)?.installed == Installed::Yes;
    Ok(there.then_some(Install::Already))
}

/// Why [`install`] would be refused now; nothing where it would not. Reads only, of a standby too.
///
/// # Errors
/// Whatever the database says.
pub fn blockers(connection: &mut AnyConnection) -> Result<Vec<Blocker>, DbError> {
    let schema = expand::look(connection)?;
    match schema.legacy {
        LegacyColumns::NoTable => return Ok(vec![Blocker::NoTable]),
        LegacyColumns::Dropped => return Ok(vec![Blocker::Dropped]),
        LegacyColumns::Present | LegacyColumns::Missing(_) => {}
    }
    let mut blockers: Vec<Blocker> = schema.misfits.into_iter().map(Blocker::Misfit).collect();
    blockers.extend(schema.pending.iter().map(|migration| Blocker::Pending(migration.to_string())));
    blockers.extend(
        restore::unfinished(connection)?
            .map(|event| event.map_or(Blocker::RestoreTriggers, Blocker::Restoring)),
    );
    Ok(blockers)
}

/// The triggers write as who makes them, so this role needs to own what they write.
fn refuse_others(connection: &mut AnyConnection) -> Result<(), SyncError> {
    let mut found = Vec::new();
    for table in TABLES.into_iter().chain(["sti_repair_log"]) {
        found.extend(dialect::not_owner(connection, table).doing("asking what this role may do")?);
    }
    if found.is_empty() { Ok(()) } else { Err(SyncError::Obstacles(found)) }
}

fn make(connection: &mut AnyConnection) -> Result<Install, SyncError> {
    let SyncStatus { problems: mended, .. } = status::look(connection)?;
    let places = Places::find(connection)?;
    connection.batch_execute(&places.create_function()).doing("making the function of the sync triggers")?;
    if let Some(owner) = status::better_owner(connection)? {
        let sql = format!("ALTER FUNCTION {} OWNER TO {owner}", places.function());
        connection.batch_execute(&sql).doing("giving the function to the owner of projects_project")?;
    }
    for trigger in Trigger::ALL {
        connection
            .batch_execute(&places.create_trigger(trigger))
            .doing(format!("making the trigger {} on {PARENT}", trigger.name()))?;
    }
    for found in status::triggers(connection)? {
        let Some(trigger) = Trigger::ALL.into_iter().find(|trigger| trigger.name() == found.name) else {
            continue;
        };
        let comment = status::comment(&places, trigger, &found.definition);
        diesel::sql_query(format!(
            "COMMENT ON TRIGGER \"{}\" ON {} IS {}",
            trigger.name(),
            places.parent.name,
            catalog::quote::literal(&comment)
        ))
        .execute(connection)
        .doing(format!("marking the trigger {}", trigger.name()))?;
    }
    let now = status::look(connection)?;
    if now.installed != Installed::Yes {
        return Err(SyncError::Unexpected(now.problems));
    }
    Ok(Install::Done { mended, attempts: 0 })
}
