//! The drop, and its rehearsal: the plan, the digest, attempt after attempt, and what became of the last one.

use std::time::Duration;

use super::ahead;
use super::attempt::Made;
use super::attempts::{Ended, attempts};
use super::confirm::{Seen, confirm};
use super::digest::Given;
use super::error::ContractError;
use super::event::{self, DropEvent};
use super::leftovers::{self, leftovers};
use super::look::{Look, Place, look};
use super::options::DropOptions;
use super::outcome::{Answer, Dropped, Outcome, Refusal, Rehearsal};
use super::plan::DropPlan;
use super::progress::Progress;
use crate::db::dialect;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, ConnectError, Fault, read_snapshot, retry};

/// How often it is tried to take away what a drop has left whose connection was lost, with rests in between.
const LAST_TRIES: u32 = 10;

/// The plan of a drop. Reads one snapshot, takes no lock on a row, and changes nothing.
///
/// # Errors
/// [`ContractError::AlreadyDropped`]; or why there is no answer.
pub fn plan(connection: &mut AnyConnection, options: &DropOptions) -> Result<DropPlan, ContractError> {
    Ok(look_first(connection, options)?.plan)
}

fn look_first(connection: &mut AnyConnection, options: &DropOptions) -> Result<Look, ContractError> {
    options.go_on()?;
    let looked = read_snapshot(connection, |connection| {
        options.interruptible(connection, |connection| look(connection, options, Place::Snapshot))?
    });
    looked.map_err(|error| options.judge(error))
}

/// Does everything that [`execute`] does, rolls the last transaction back instead of committing it, and takes away what
/// the others have made. Reports how long the locks were held: so long nobody could read or write projects, as in the real drop.
///
/// `tell` is told of every step, and of every attempt that did not get its locks. Where the connection is lost, what it
/// has made is taken away over a fresh one of `connector`, as far as that can be done ([`leftovers`]); the next call does
/// the rest.
///
/// # Errors
/// [`ContractError`]. Nothing is changed in any case.
pub fn rehearse(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &DropOptions,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Rehearsal, ContractError> {
    let mut connection = connector()?;
    clear(&mut connection, options, tell)?;
    tell(&Progress::Comparing);
    let before = look_first(&mut connection, options)?;
    if !before.plan.is_open() {
        return Ok(Rehearsal::Refused { plan: Box::new(before.plan), why: Refusal::Gates });
    }
    let digest = before.plan.digest.clone();
    let ended = tried(&mut connection, options, &before, &digest, true, tell)?;
    if !matches!(ended.0, Ended::Lost { .. }) {
        clean_up_if_lost(connection, connector, options, tell);
    }
    Ok(match ended {
        (Ended::Made(made), attempts) => {
            let Made { plan, archived, held, .. } = made;
            Rehearsal::Rehearsed { plan, archived, held, attempts }
        }
        (Ended::Refused(plan, why), _) => Rehearsal::Refused { plan, why },
        (Ended::Blocked(blocked), _) => Rehearsal::Blocked(blocked),
        (Ended::Lost { source, .. }, _) => {
            clean_up(connector, options, tell);
            Rehearsal::NotDone { reason: source.to_string() }
        }
    })
}

/// Drops the legacy columns, if the digest `digest` fits the plan of now and no gate refuses, before the locks and
/// under them.
///
/// PostgreSQL: triggers that log what is written from then on (each made under ACCESS EXCLUSIVE on its table); every gate
/// again, and the archive, in one snapshot without locks; what was written meanwhile, in rounds; and in one transaction
/// `LOCK TABLE` of all three tables in ACCESS EXCLUSIVE mode at once, the rest of that, the gates, the permit, the drop by
/// its migration, the event, the record of the migration. What an attempt leaves that is not made is taken away. SQLite:
/// all of it in one `BEGIN IMMEDIATE`. An attempt that does not get its locks in [`DropOptions::lock_timeout`] is rolled back, `tell` is told who holds
/// them, and it is tried again after a rest; it is also told of every step. Where the answer to COMMIT is lost, fresh connections of `connector`
/// ask the catalogue what became of it.
///
/// # Errors
/// [`ContractError`]. Nothing was dropped then.
pub fn execute(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &DropOptions,
    digest: &str,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Outcome, ContractError> {
    let mut connection = connector()?;
    let ended = match confirmed(&mut connection, options, digest, tell) {
        Err(ContractError::AlreadyDropped { event }) => return earlier(&mut connection, event, digest),
        ended => ended?,
    };
    // What is left of the old connection must not stand in the way of the fresh ones.
    match ended.0 {
        Ended::Refused(..) | Ended::Blocked(_) => {
            clean_up_if_lost(connection, connector, options, tell);
        }
        Ended::Made(_) | Ended::Lost { .. } => drop(connection),
    }
    Ok(match ended {
        (Ended::Made(made), attempts) => Outcome::Done(Dropped {
            event: made.event,
            answer: Answer::Commit,
            plan: Some(made.plan),
            archived: made.archived,
            held: made.held,
            attempts,
        }),
        (Ended::Refused(plan, why), _) => Outcome::Refused { plan, why },
        (Ended::Blocked(blocked), _) => Outcome::Blocked(blocked),
        (Ended::Lost { source, at_commit: None }, _) => {
            clean_up(connector, options, tell);
            Outcome::NotDone { reason: source.to_string() }
        }
        (Ended::Lost { source, at_commit: Some(event) }, attempts) => {
            let reason = source.to_string();
            tell(&Progress::Asking);
            match confirm(connector, &event) {
                Seen::Done(event) => Outcome::Done(on_record(&event, Answer::Catalogue, attempts)),
                Seen::NotDone => {
                    clean_up(connector, options, tell);
                    Outcome::NotDone { reason }
                }
                Seen::Unclear(seen) => Outcome::Unknown { event: event.id, reason, seen },
            }
        }
    })
}

/// What was begun and not made was taken away over `connection`, unless that was lost meanwhile: then over a fresh one.
fn clean_up_if_lost(
    mut connection: AnyConnection,
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &DropOptions,
    tell: &mut dyn FnMut(&Progress),
) {
    let looked = leftovers(&mut connection);
    drop(connection);
    if looked.is_err() {
        clean_up(connector, options, tell);
    }
}

/// The connection was lost, and nothing was dropped. What the drop or rehearsal has left behind is taken away over a
/// fresh one; if that fails, too, the next command does it.
fn clean_up(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &DropOptions,
    tell: &mut dyn FnMut(&Progress),
) {
    // Whoever has asked for a stop wants nothing to be left, either.
    let mut options = options.clone();
    options.interrupt = None;
    if let Ok(mut connection) = connector() {
        let mut number = 0;
        // The server may take a moment to end the session that was lost, which holds its record as long.
        while number < LAST_TRIES
            && leftovers::clear(&mut connection, &options, None, tell).is_ok()
            && leftovers(&mut connection).is_ok_and(|left| !left.is_empty())
        {
            number += 1;
            std::thread::sleep(retry::rest(number));
        }
    }
}

/// The columns are gone already. Done, if it was done with this digest: that is how a command that was killed, or
/// whose outcome was unknown, is asked again.
fn earlier(connection: &mut AnyConnection, event: i64, digest: &str) -> Result<Outcome, ContractError> {
    match event::open_drop(connection)? {
        Some(event) if event.digest.as_deref() == Some(digest) => {
            Ok(Outcome::Done(on_record(&event, Answer::Earlier, 0)))
        }
        _ => Err(ContractError::AlreadyDropped { event }),
    }
}

fn on_record(event: &DropEvent, answer: Answer, attempts: u32) -> Dropped {
    Dropped {
        event: event.id,
        answer,
        plan: None,
        archived: event.archived.unwrap_or_default(),
        held: Duration::from_millis(event.lock_ms.unwrap_or_default().unsigned_abs()),
        attempts,
    }
}

/// Makes the plan of now, holds the digest against it, and tries.
fn confirmed(
    connection: &mut AnyConnection,
    options: &DropOptions,
    digest: &str,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(Ended, u32), ContractError> {
    clear(connection, options, tell)?;
    tell(&Progress::Comparing);
    let before = look_first(connection, options)?;
    let now = dialect::clock_minutes(connection).doing("asking the database's clock")?;
    let given = digest.to_owned();
    let why = match before.covered.check(digest, now) {
        // Whoever confirmed an open plan finds out which gates have shut since.
        _ if !before.plan.is_open() => Some(Refusal::Gates),
        Given::Another => Some(Refusal::AnotherPlan { given }),
        Given::Expired(age) => Some(Refusal::Expired { given, age }),
        Given::Good => None,
    };
    match why {
        Some(why) => Ok((Ended::Refused(Box::new(before.plan), why), 0)),
        None => tried(connection, options, &before, digest, false, tell),
    }
}

/// Tries, in the way that the backend allows.
fn tried(
    connection: &mut AnyConnection,
    options: &DropOptions,
    before: &Look,
    digest: &str,
    rehearsal: bool,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(Ended, u32), ContractError> {
    if dialect::backend(connection).works_ahead_of_locks() {
        ahead::make(connection, options, before, digest, rehearsal, tell)
    } else {
        attempts(connection, options, before, digest, rehearsal, tell)
    }
}

/// Takes away what earlier drops have left that were killed. A lock that is not to be had is no reason to stop here:
/// who has to wait for it, will, and whoever only refuses need not.
fn clear(
    connection: &mut AnyConnection,
    options: &DropOptions,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(), ContractError> {
    options.go_on()?;
    match leftovers::clear(connection, options, None, tell) {
        Err(ContractError::Db(error)) if error.fault() == Fault::LockTimeout => Ok(()),
        cleared => cleared,
    }
}
