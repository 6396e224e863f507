//! The drop where writers go on while it works (PostgreSQL): nearly all of it is done ahead of its locks, which are
//! therefore short however many projects there are.
//!
//! 1. *Begin*: the record of the run, and on each table the triggers of the change log.
//! 2. *Snapshot*: everything is compared and archived in one snapshot that is opened after that.
//! 3. *Catch up*: what was written since is taken from the change log, looked at and archived anew, until little is
//!    left.
//! 4. *Short*: under the locks what is left, the gates again, the drop itself.
//!
//! Each step commits. Only the last one makes a drop of it; whatever else it comes to, what the others have left is
//! taken away.

mod begin;
mod rounds;
mod short;
mod snapshot;

use super::attempt::Stop;
use super::attempts::{Again, Ended, Tries, after};
use super::error::ContractError;
use super::leftovers;
use super::locks::AsDbError as _;
use super::look::Look;
use super::options::DropOptions;
use super::progress::Progress;
use crate::db::dialect;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, Failed, Fault};
use crate::expand::TABLES;
use crate::probe::Step;

use begin::Began;

/// What is the same for every step.
#[derive(Debug)]
struct Work<'a> {
    options: &'a DropOptions,
    /// What was found before anything was begun.
    before: &'a Look,
    /// The digest that was confirmed.
    digest: &'a str,
    /// Roll back at the end.
    rehearsal: bool,
    /// The longest wait for a lock.
    lock: std::time::Duration,
}

/// Drops the columns, or rehearses it; also gives the number of attempts at locks.
pub(super) fn make(
    connection: &mut AnyConnection,
    options: &DropOptions,
    before: &Look,
    digest: &str,
    rehearsal: bool,
    tell: &mut dyn FnMut(&Progress),
) -> Result<(Ended, u32), ContractError> {
    let lock = dialect::lock_limit(connection, options.lock_timeout).doing("reading deadlock_timeout")?;
    let work = Work { options, before, digest, rehearsal, lock };
    let mut tries = Tries::new(options, tell);
    options.probe.at(Step::Prepare);
    let mut run = None;
    let ended = match begin::begin(connection, &work, &mut run, &mut tries) {
        Ok(Began::Run(id)) => with_change_log(connection, &work, id, &mut tries),
        Ok(Began::Ended(ended)) => Ok(ended),
        Err(error) => Err(error),
    };
    let attempts = tries.number();
    let settled = match &ended {
        // Who has made it has left nothing; who has lost the connection cannot look.
        Ok(Ended::Made(_)) => !rehearsal,
        Ok(Ended::Lost { .. }) => true,
        _ => run.is_none(),
    };
    if !settled {
        options.probe.at(Step::CleanUp);
        // What this cannot take away the next command will. What became of the drop is what must be told.
        let _ = leftovers::clear(connection, options, run, tell);
    }
    let ended = ended.map_err(|error| options.judge(error))?;
    Ok((ended, attempts))
}

fn with_change_log(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    run: i64,
    tries: &mut Tries<'_>,
) -> Result<Ended, ContractError> {
    match steps(connection, work, run, tries) {
        Err(error) => lost(error),
        ended => ended,
    }
}

/// A connection that is lost before any COMMIT of the last transaction leaves a drop that is not made.
fn lost(error: ContractError) -> Result<Ended, ContractError> {
    match error.into_db_error() {
        Ok(source) if source.fault() == Fault::ConnectionLost => Ok(Ended::Lost { source, at_commit: None }),
        Ok(source) => Err(source.into()),
        Err(other) => Err(other),
    }
}

fn steps(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    run: i64,
    tries: &mut Tries<'_>,
) -> Result<Ended, ContractError> {
    let stored = dialect::storage(connection, &TABLES).doing("asking where the tables are stored")?;
    work.options.probe.at(Step::Snapshot);
    let (base, mut tally) = match snapshot::snapshot(connection, work, run, tries) {
        Ok(found) => found,
        Err(Failed::Body(Stop::Refused(plan, why))) => return Ok(Ended::Refused(plan, why)),
        Err(Failed::Body(Stop::Failed(error))) => return Err(error),
        Err(Failed::Body(other)) => {
            return Err(ContractError::Unexpected {
                expected: "a snapshot without locks".to_owned(),
                found: format!("{other:?}"),
            });
        }
        Err(Failed::Begin(source) | Failed::Commit(source)) => {
            return Err(
                DbError { doing: "comparing and archiving in one snapshot".to_owned(), source }.into()
            );
        }
    };
    tries.at_something_else();
    loop {
        if let Some(why) = rounds::until_short(connection, work, run, &mut tally, tries)? {
            return Ok(Ended::Refused(Box::new(tally.plan(&base.plan)), why));
        }
        work.options.go_on()?;
        tries.tell(&Progress::Locking);
        let mut recorded = None;
        let job = short::Job { work, run, base: &base, tally: &tally, stored: &stored };
        let reason = match short::attempt(connection, &job, &mut recorded) {
            Ok(made) => return Ok(Ended::Made(made)),
            Err(failed) => match after(failed, recorded)? {
                Again::Never(ended) => return Ok(ended),
                Again::After(reason) => reason,
            },
        };
        if let Some(blocked) = tries.failed(connection, reason, &base.plan)? {
            work.options.go_on()?;
            return Ok(Ended::Blocked(blocked));
        }
    }
}
