//! The events of a backfill in words: those of the plain lines, and of the records in a log.

use sti_core::db::error::{error_may_quote_values, may_quote_values};
use sti_core::observe::Event;

use crate::document::number;
use crate::time::rough;

/// What stands in the place of words that may quote a row. A log has them at level debug.
const QUOTING: &str = "the database refused it in words that may quote a row";

/// An error, if it quotes no value of a row.
fn harmless(reason: &str) -> &str {
    if error_may_quote_values(reason) { QUOTING } else { reason }
}

/// What the database said, if it quotes no value of a row.
fn harmless_message(message: &str) -> &str {
    if may_quote_values(message) { QUOTING } else { message }
}

/// What is told of an event in words; the chunks apart.
pub(crate) fn words(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStarted { run, resumed: false, eligible, .. } => {
            format!("run {run} begins: {} projects in scope", number(*eligible))
        }
        Event::RunStarted { run, totals, .. } => {
            format!("run {run} is resumed: {} projects were done before", number(totals.locked))
        }
        Event::ChunkRetried { number, retry, reason, rest, .. } => {
            let reason = harmless(reason);
            format!("chunk {number}: {reason}; rolled back, retry {retry} in {:.1} s", rest.as_secs_f64())
        }
        Event::LedgerRetried { retry, reason, rest, .. } => {
            let reason = harmless(reason);
            format!("{reason}; rolled back, retry {retry} in {:.1} s", rest.as_secs_f64())
        }
        Event::ChunkHalved { number, reason, .. } => format!("chunk {number}: {}; halved", harmless(reason)),
        Event::ChunkPostponed { number, reason, .. } => {
            format!("chunk {number}: {reason}; it is put off to the end of the sweep")
        }
        Event::LeaseLost { number, .. } => {
            format!("chunk {number} has been taken over by another process; nothing of it was written here")
        }
        Event::LeaseTaken { number, from, .. } => {
            format!("chunk {number} is taken over from {from}, which is gone")
        }
        Event::WorkerFailed { reason } => format!("one more worker stopped: {}", harmless(reason)),
        Event::SweepDone { sweep, missing: 0 } => format!("sweep {sweep} is done; nothing is missing"),
        Event::SweepDone { sweep, missing } => {
            format!("sweep {sweep} is done; {} projects lack their row", number(*missing))
        }
        Event::Throttled { reason, waited } if waited.is_zero() => format!("waiting: {reason}"),
        Event::Throttled { reason, waited } => format!("waiting for {} now: {reason}", rough(*waited)),
        Event::ThrottleEnded { waited, .. } => format!("waited {}", rough(*waited)),
        Event::ProjectQuarantined { project, class, message } => {
            format!("project {project} goes into quarantine ({class}): {}", harmless_message(message))
        }
        Event::ChunkDone { .. }
        | Event::WaitingForLease { .. }
        | Event::WaitingForServer { .. }
        | Event::RunFinished { .. } => return None,
    })
}

pub(crate) fn chunk_words(event: &Event) -> Option<String> {
    let Event::ChunkDone { sweep, number: chunk, totals, duration } = event else { return None };
    Some(format!(
        "sweep {sweep}, chunk {chunk}: {} projects, {} created, {} equal, {} conflicts, {} of unknown type, {} errors, {} ms",
        number(totals.locked),
        number(totals.created.total()),
        number(totals.equal.total()),
        number(totals.conflict.total()),
        number(totals.unknown),
        number(totals.error.total()),
        duration.as_millis()
    ))
}

pub(crate) fn waiting(owner: &str) -> String {
    format!("waiting for the last chunk, which {owner} works on; its lease runs out by itself")
}

pub(crate) fn waiting_for_server(event: &Event) -> Option<String> {
    let Event::WaitingForServer { reason, waited, longest } = event else { return None };
    Some(format!(
        "{reason}; waiting for {} s of at most {} s until it is back",
        waited.as_secs(),
        longest.as_secs()
    ))
}
