//! The events of a backfill as records.

use std::sync::{Mutex, PoisonError};

use sti_core::backfill::RunId;
use sti_core::db::error::{error_may_quote_values, may_quote_values};
use sti_core::observe::{Event, Observer};
use tracing::Level;

use super::TARGET;
use crate::document::number;
use crate::progress::Others;
use crate::progress::state::State;
use crate::progress::words::{chunk_words, waiting, waiting_for_server, words};

/// Writes a record for each event of a backfill, with the run, the sweep, the chunk, the worker (the thread) and the
/// owner (this process, as its leases name it) as fields.
#[derive(Debug)]
pub struct LogObserver {
    owner: String,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    run: Option<RunId>,
    progress: State,
}

/// What is told of an event.
struct Record {
    level: Level,
    message: String,
    /// Words of the database that may quote a row.
    words: Option<String>,
}

impl LogObserver {
    /// The observer of the process that the ledger calls `owner`, beside `others` that work on the same run.
    #[must_use]
    pub fn new(owner: &impl ToString, others: &Others) -> Self {
        let known = Known { run: None, progress: State::beside(others) };
        Self { owner: owner.to_string(), known: Mutex::new(known) }
    }
}

impl Observer for LogObserver {
    fn event(&self, event: &Event) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::RunStarted { run, .. } = event {
            known.run = Some(*run);
        }
        known.progress.take(event);
        let (sweep, chunk) = place(event);
        let (run, owner) = (known.run.map(|run| run.0), self.owner.as_str());
        let thread = std::thread::current();
        let worker = thread.name();
        macro_rules! at {
            ($level:ident, $($field:tt)*) => {
                tracing::$level!(target: TARGET, run, sweep, chunk, worker, owner, $($field)*)
            };
        }
        if let Event::ChunkDone { totals, duration, .. } = event {
            let (projects, created, equal) = (totals.locked, totals.created.total(), totals.equal.total());
            let (conflicts, unknown, errors) =
                (totals.conflict.total(), totals.unknown, totals.error.total());
            let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            let message = chunk_words(event).unwrap_or_default();
            at!(debug, projects, created, equal, conflicts, unknown, errors, ms, "{message}");
        }
        let Some(Record { level, message, words }) = known.record(event) else { return };
        match level {
            Level::ERROR => at!(error, "{message}"),
            Level::WARN => at!(warn, "{message}"),
            Level::INFO => at!(info, "{message}"),
            _ => at!(debug, "{message}"),
        }
        if let Some(words) = words {
            at!(debug, words, "what the database said");
        }
    }
}

impl Known {
    /// `None` for what is not told: what happens often is told now and then.
    fn record(&mut self, event: &Event) -> Option<Record> {
        let progress = &mut self.progress;
        let message = match event {
            Event::ChunkDone { .. } if progress.due() => Some(progress.line()),
            Event::ChunkDone { .. } => None,
            Event::WaitingForLease { owner } => progress.due().then(|| waiting(owner)),
            Event::WaitingForServer { .. } if progress.due() => waiting_for_server(event),
            Event::Throttled { waited, .. } if !progress.wait_due(*waited) => None,
            Event::RunFinished { totals, complete } => Some(format!(
                "the run has ended, {}: {} projects",
                if *complete { "complete" } else { "and rows are missing" },
                number(totals.locked)
            )),
            _ => words(event),
        }?;
        let words = quotes(event).cloned();
        Some(Record { level: level(event), message, words })
    }
}

/// The level policy, but for chunks, which are told at debug.
fn level(event: &Event) -> Level {
    match event {
        Event::ProjectQuarantined { .. }
        | Event::ChunkPostponed { .. }
        | Event::LeaseLost { .. }
        | Event::LeaseTaken { .. }
        | Event::WaitingForServer { .. }
        | Event::RunFinished { complete: false, .. } => Level::WARN,
        Event::WorkerFailed { .. } => Level::ERROR,
        // A wait that somebody asked for is as it should be; one for a standby, a gate or what cannot be read is not.
        Event::Throttled { reason, .. } if !matches!(reason.kind(), "paused" | "window") => Level::WARN,
        _ => Level::INFO,
    }
}

/// The sweep and the chunk that an event is about.
fn place(event: &Event) -> (Option<i32>, Option<i32>) {
    match event {
        Event::ChunkDone { sweep, number, .. }
        | Event::ChunkRetried { sweep, number, .. }
        | Event::ChunkHalved { sweep, number, .. }
        | Event::ChunkPostponed { sweep, number, .. }
        | Event::LeaseLost { sweep, number, .. }
        | Event::LeaseTaken { sweep, number, .. } => (Some(*sweep), Some(*number)),
        Event::SweepDone { sweep, .. } => (Some(*sweep), None),
        _ => (None, None),
    }
}

/// What the database said, where an event has it and it may quote a row.
fn quotes(event: &Event) -> Option<&String> {
    match event {
        Event::ChunkRetried { reason, .. }
        | Event::LedgerRetried { reason, .. }
        | Event::ChunkHalved { reason, .. }
        | Event::ChunkPostponed { reason, .. }
        | Event::WorkerFailed { reason } => Some(reason).filter(|reason| error_may_quote_values(reason)),
        Event::ProjectQuarantined { message, .. } => {
            Some(message).filter(|message| may_quote_values(message))
        }
        _ => None,
    }
}
