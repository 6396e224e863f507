//! The third step: what was written since the snapshot is worked off, round by round, until little is left.

use std::time::Duration;

use super::Work;
use crate::contract::attempts::Tries;
use crate::contract::change_log::{self, take};
use crate::contract::error::ContractError;
use crate::contract::locks::AsDbError as _;
use crate::contract::outcome::Refusal;
use crate::contract::progress::Progress;
use crate::contract::run;
use crate::contract::tally::Tally;
use crate::db::dialect::{self, Limits, Reading};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, Failed, Fault, limited_transaction, retry};
use crate::probe::Step;

/// The longest that one statement of a round may run.
const STATEMENT: Duration = Duration::from_secs(3600);

/// So many entries may be left for the time under the locks.
const SHORT: i64 = 250;

/// So many, where writers without a pause keep the log from getting shorter. They are of few projects, or the last step
/// comes back for more rounds.
const BEARABLE: i64 = 2_500;

/// From this round on [`BEARABLE`] is good enough.
const PATIENCE: u32 = 5;

/// So many rounds may be run in a row before the writers count as too fast.
const ROUNDS: u32 = 50;

/// A round that took so many entries leaves room to be given back, or the next ones would read past them.
const VACUUM_AFTER: i64 = 1_000;

/// Runs rounds until the log is short; gives why that makes no sense, if so. `tally` has what was committed.
pub(super) fn until_short(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    run: i64,
    tally: &mut Tally,
    tries: &mut Tries<'_>,
) -> Result<Option<Refusal>, ContractError> {
    let mut left = 0;
    for number in 1..=ROUNDS {
        work.options.go_on()?;
        work.options.probe.at(Step::CatchUp);
        let mut worked_off = None;
        match round(connection, work, run, tally) {
            Ok((after, entries)) => {
                *tally = after;
                worked_off = Some(entries);
                if entries > VACUUM_AFTER {
                    work.options.go_on()?;
                    dialect::vacuum(connection, change_log::TABLE).doing("vacuuming the change log")?;
                }
            }
            Err(error) => passing(error, number)?,
        }
        if let Some(table) = tally.truncated.first() {
            return Ok(Some(Refusal::Rewritten { table: Some(table.clone()) }));
        }
        if tally.gates(work.options.waivers()).iter().any(|result| !result.verdict.is_open()) {
            return Ok(Some(Refusal::GatesMeanwhile));
        }
        left = take::entries(connection, 100_000)?;
        if let Some(entries) = worked_off {
            tries.tell(&Progress::CaughtUp { round: number, entries, left });
        }
        if left <= if number < PATIENCE { SHORT } else { BEARABLE } {
            return Ok(None);
        }
    }
    Ok(Some(Refusal::Outrun { rounds: ROUNDS, left }))
}

/// One transaction; gives the tally if it is committed, and the number of entries.
fn round(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    run: i64,
    tally: &Tally,
) -> Result<(Tally, i64), ContractError> {
    let limits = Limits { lock: work.lock, statement: STATEMENT };
    let done = limited_transaction(connection, limits, Reading::ByIndex, |connection| {
        // The shorter a round, the less is written meanwhile. A crash that undoes it has ended this drop, too.
        dialect::commit_unflushed(connection).doing("setting the limits of the transaction")?;
        let mut tally = tally.clone();
        tally.seen = run::hold(connection, run, Some(tally.seen))?;
        let entries = work.options.interruptible(connection, |connection| {
            tally.catch_up(connection, run, None, &work.options.probe)
        })??;
        Ok((tally, entries.unwrap_or_default()))
    });
    done.map_err(|failed| match failed {
        Failed::Body(error) => error,
        Failed::Begin(source) | Failed::Commit(source) => {
            DbError { doing: "working off the change log".to_owned(), source }.into()
        }
    })
}

/// Rests after an error that passes; everything of the round was rolled back.
fn passing(error: ContractError, number: u32) -> Result<(), ContractError> {
    match error.as_db_error().map(DbError::fault) {
        Some(Fault::LockTimeout | Fault::Transient) => {
            std::thread::sleep(retry::rest(number));
            Ok(())
        }
        _ => Err(error),
    }
}
