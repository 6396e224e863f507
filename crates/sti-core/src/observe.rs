//! What the engines tell while they work: plain events, for progress displays, logs and metrics alike.

use std::time::Duration;

use crate::backfill::{RunId, ThrottleReason, Totals};
use crate::db::error::Fault;
use crate::models::ProjectId;

/// Something that happened. Every count in it has been committed.
#[derive(Clone, Debug)]
pub enum Event {
    /// A backfill run began, or was taken up again.
    RunStarted {
        /// Its id in `sti_backfill_run`.
        run: RunId,
        /// Taken up again: chunks of it had been done before, by whichever process.
        resumed: bool,
        /// Projects in scope when the run began.
        eligible: i64,
        /// What the ledger held for this run at this moment.
        totals: Totals,
    },
    /// A chunk was committed by this process.
    ChunkDone {
        /// The sweep that the chunk belongs to, from 1.
        sweep: i32,
        /// The number of the chunk in its sweep, from 1.
        number: i32,
        /// What this chunk did.
        totals: Totals,
        /// From BEGIN to the answer of COMMIT.
        duration: Duration,
    },
    /// A chunk was rolled back and is run again after a rest.
    ChunkRetried {
        /// The sweep that the chunk belongs to, from 1.
        sweep: i32,
        /// The number of the chunk in its sweep.
        number: i32,
        /// Which retry this is, from 1.
        retry: u32,
        /// Why, in one word.
        fault: Fault,
        /// Why.
        reason: String,
        /// How long it rests.
        rest: Duration,
    },
    /// A transaction of the ledger's own was rolled back and is run again after a rest.
    LedgerRetried {
        /// Which retry this is, from 1.
        retry: u32,
        /// Why, in one word.
        fault: Fault,
        /// Why.
        reason: String,
        /// How long it rests.
        rest: Duration,
    },
    /// A chunk was too much at once, or holds rows that the database refuses: it is two chunks now.
    ChunkHalved {
        /// The sweep that the chunk belongs to, from 1.
        sweep: i32,
        /// The number of the chunk in its sweep; the second half has a number of its own.
        number: i32,
        /// Why.
        reason: String,
    },
    /// Somebody holds a lock on a chunk's rows for long: the chunk comes after all others of its sweep.
    ChunkPostponed {
        /// The sweep that the chunk belongs to, from 1.
        sweep: i32,
        /// The number of the chunk in its sweep.
        number: i32,
        /// Why.
        reason: String,
    },
    /// The database refused the row of a project; it is in quarantine, and its chunk is committed.
    ProjectQuarantined {
        /// The project.
        project: ProjectId,
        /// What kind of rule it broke, as in `check_violation`.
        class: String,
        /// What the database said, without the detail that quotes the row.
        message: String,
    },
    /// The server is away, or takes no writes. Told before each try to reach it.
    WaitingForServer {
        /// Why.
        reason: String,
        /// How long this worker has not got on.
        waited: Duration,
        /// How long it will wait at most.
        longest: Duration,
    },
    /// A chunk had been taken over by somebody else when this process, which had stood still, went on with it. Nothing
    /// of it was written here.
    LeaseLost {
        /// The sweep that the chunk belongs to, from 1.
        sweep: i32,
        /// The number of the chunk in its sweep.
        number: i32,
    },
    /// The lease of a process that died, or stood still, was taken over.
    LeaseTaken {
        /// The sweep that the chunk belongs to, from 1.
        sweep: i32,
        /// The number of the chunk in its sweep.
        number: i32,
        /// Who held it, as host/pid/nonce.
        from: String,
    },
    /// Nothing to do until another process has finished its chunk, or its lease has expired.
    WaitingForLease {
        /// Who holds the lease.
        owner: String,
    },
    /// A worker of this process could not go on. The others finish their chunk and stop. (The first failure is also
    /// what the backfill returns.)
    WorkerFailed {
        /// Why.
        reason: String,
    },
    /// Chunks wait: told when the wait begins, and again about every 30 s while it lasts. Rests between chunks
    /// (`--pace`) are not told.
    Throttled {
        /// Why, as it stands now.
        reason: ThrottleReason,
        /// How long it has waited; 0 at the beginning.
        waited: Duration,
    },
    /// The wait is over: the reason has passed, another one has taken its place, or it was asked to stop.
    ThrottleEnded {
        /// Why it waited.
        reason: ThrottleReason,
        /// How long.
        waited: Duration,
    },
    /// A sweep came to the end of the keys.
    SweepDone {
        /// Which one.
        sweep: i32,
        /// Projects of a known kind that still lack their row; they are what the next sweep is for.
        missing: i64,
    },
    /// The run has ended and the ledger says so.
    RunFinished {
        /// What the ledger holds for it, whoever did it.
        totals: Totals,
        /// Whether nothing is missing.
        complete: bool,
    },
}

/// Takes events, from several threads at once.
pub trait Observer: Send + Sync {
    /// Called after the event, on the thread that did the work: it should return quickly.
    fn event(&self, event: &Event);
}

/// Takes no interest.
impl Observer for () {
    fn event(&self, _event: &Event) {}
}

/// Tells each in turn.
impl Observer for Vec<Box<dyn Observer>> {
    fn event(&self, event: &Event) {
        for observer in self {
            observer.event(event);
        }
    }
}

/// Tells whoever shares it.
impl<T: Observer + ?Sized> Observer for std::sync::Arc<T> {
    fn event(&self, event: &Event) {
        (**self).event(event);
    }
}
