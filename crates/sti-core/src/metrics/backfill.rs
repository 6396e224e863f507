//! The observer that feeds the metrics of a backfill.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

use super::catalogue::{
    BACKFILL, CHUNK_DURATION, CHUNK_PROJECTS, CONFLICTS, ELIGIBLE, ENDING, INFO, LAST_COMPLETION,
    LAST_DURATION, LAST_PROGRESS, LAST_SUCCESS, LAST_SUCCESS_TIMESTAMP, LEASES_TAKEN, OLDEST_LEASE,
    PROCESSED, QUARANTINED, REMAINING, RETRIES, RUN_PROJECTS, RUNNING, SETBACKS, START, SWEEP, WAITED,
    WAITING,
};
use super::now;
use crate::backfill::{Backfill, BackfillError, Ending, LastRun, RunId, ThrottleReason, Totals};
use crate::db::error::Fault;
use crate::db::sql_types::Timestamp;
use crate::models::Kind;
use crate::observe::{Event, Observer};

const UNKNOWN: &str = "unknown";

/// What chunks wait for; rests between them are no waits.
const WAITS: [&str; 6] = ["paused", "window", "replica_lag", "gate", "unreadable", SERVER];
const SERVER: &str = "server";

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A run.
    Live,
    /// A dry run: the counters stay at 0.
    DryRun,
}

/// Feeds the metrics from the events of a backfill.
#[derive(Debug)]
pub struct MetricsObserver {
    begun: Instant,
    run: Mutex<Run>,
}

/// The run, as far as this process knows: what the ledger held when it was last read, and its own chunks since.
#[derive(Debug, Default)]
struct Run {
    id: Option<RunId>,
    totals: Totals,
    eligible: i64,
    /// What is left of a later sweep; `None` in the first one.
    missing: Option<i64>,
    waits: HashMap<&'static str, Waits>,
}

/// How long chunks have waited for one reason, the wait that goes on aside.
#[derive(Debug, Default)]
struct Waits(Duration);

impl Waits {
    fn show(&mut self, reason: &'static str, waited: Duration, over: bool) {
        counter!(WAITED.name, "reason" => reason).absolute((self.0 + waited).as_secs());
        if over {
            self.0 += waited;
        }
    }
}

impl Run {
    fn show(&self) {
        for (status, project_type, count) in pairs(&self.totals) {
            gauge!(RUN_PROJECTS.name, "status" => status, "project_type" => project_type).set(count as f64);
        }
        for kind in Kind::ALL {
            gauge!(CONFLICTS.name, "project_type" => kind.as_str()).set(self.totals.conflict.of(kind) as f64);
        }
        let remaining = self.missing.unwrap_or(self.eligible - self.totals.locked);
        gauge!(REMAINING.name).set(remaining.max(0) as f64);
    }
}

impl MetricsObserver {
    /// Describes every metric and sets every label pair to 0: a series that appears with its first error hides that
    /// error from every rate.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        BACKFILL.iter().for_each(|metric| metric.describe());
        for (status, project_type, _) in pairs(&Totals::default()) {
            counter!(PROCESSED.name, "status" => status, "project_type" => project_type).increment(0);
        }
        for reason in ["transient", "lock_timeout", "statement_timeout", "connection_lost", "other"] {
            counter!(RETRIES.name, "reason" => reason).increment(0);
        }
        for kind in ["halved", "postponed", "lease_lost"] {
            counter!(SETBACKS.name, "kind" => kind).increment(0);
        }
        for class in Fault::ROW_CLASSES {
            counter!(QUARANTINED.name, "class" => class).increment(0);
        }
        gauge!(OLDEST_LEASE.name).set(0.0);
        counter!(LEASES_TAKEN.name).increment(0);
        for reason in WAITS {
            gauge!(WAITING.name, "reason" => reason).set(0.0);
            if reason != SERVER {
                counter!(WAITED.name, "reason" => reason).increment(0);
            }
        }
        gauge!(RUNNING.name).set(0.0);
        let mode = match mode {
            Mode::Live => "live",
            Mode::DryRun => "dry_run",
        };
        gauge!(INFO.name, "version" => env!("CARGO_PKG_VERSION"), "mode" => mode).set(1.0);
        Self { begun: Instant::now(), run: Mutex::default() }
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what the ledger holds for a run now: other processes may work on it as well. A reading that is older
    /// than this process's own chunks is passed over, and so is another run than the one that began here.
    pub fn ledger(&self, last: &LastRun, oldest_lease: Option<Timestamp>) {
        let mut run = self.run();
        if run.id != Some(last.run) {
            return;
        }
        gauge!(OLDEST_LEASE.name).set(oldest_lease.map_or(0.0, |lease| lease.0.timestamp() as f64));
        if last.totals.locked >= run.totals.locked {
            run.totals = last.totals;
            run.show();
        }
    }

    /// Tells how the backfill ended. A stop that was asked for is neither a success nor a failure.
    pub fn ended(&self, ended: &Result<Backfill, BackfillError>) {
        let (name, success) = match ended {
            Ok(Backfill { ending: Ending::Complete, .. }) => ("complete", Some(true)),
            Ok(Backfill { ending: Ending::StillMissing(_), .. }) => ("still_missing", Some(false)),
            Ok(Backfill { ending: Ending::Stopped, .. }) => ("stopped", None),
            Ok(Backfill { ending: Ending::GivenUp, .. }) => ("given_up", None),
            Ok(Backfill { ending: Ending::FailedElsewhere, .. }) => ("ended_elsewhere", Some(false)),
            Ok(Backfill { ending: Ending::TooManyErrors { .. }, .. }) => ("too_many_errors", Some(false)),
            Err(_) => ("failed", Some(false)),
        };
        if let Ok(backfill) = ended {
            let mut run = self.run();
            run.totals = backfill.totals;
            run.show();
        }
        for ending in [
            "complete",
            "still_missing",
            "stopped",
            "given_up",
            "ended_elsewhere",
            "too_many_errors",
            "failed",
        ] {
            gauge!(ENDING.name, "ending" => ending).set(if ending == name { 1.0 } else { 0.0 });
        }
        gauge!(LAST_COMPLETION.name).set(now());
        gauge!(LAST_DURATION.name).set(self.begun.elapsed().as_secs_f64());
        if let Some(success) = success {
            gauge!(LAST_SUCCESS.name).set(if success { 1.0 } else { 0.0 });
        }
        if success == Some(true) {
            gauge!(LAST_SUCCESS_TIMESTAMP.name).set(now());
        }
        gauge!(OLDEST_LEASE.name).set(0.0);
        // A gateway and a file keep what was told last, and an alert would go on about it.
        for reason in WAITS {
            gauge!(WAITING.name, "reason" => reason).set(0.0);
        }
        // Last, so that whoever sees 0 sees the end as well.
        gauge!(RUNNING.name).set(0.0);
    }
}

impl Observer for MetricsObserver {
    fn event(&self, event: &Event) {
        match event {
            Event::RunStarted { run: id, eligible, totals, .. } => {
                let mut run = self.run();
                *run = Run { id: Some(*id), totals: *totals, eligible: *eligible, ..Run::default() };
                run.show();
                gauge!(ELIGIBLE.name).set(*eligible as f64);
                gauge!(START.name).set(now());
                gauge!(LAST_PROGRESS.name).set(now());
                gauge!(RUNNING.name).set(1.0);
            }
            Event::ChunkDone { sweep, totals, duration, .. } => {
                for (status, project_type, count) in pairs(totals) {
                    counter!(PROCESSED.name, "status" => status, "project_type" => project_type)
                        .increment(u64::try_from(count).unwrap_or(0));
                }
                histogram!(CHUNK_DURATION.name).record(*duration);
                gauge!(CHUNK_PROJECTS.name).set(totals.locked as f64);
                gauge!(SWEEP.name).set(f64::from(*sweep));
                gauge!(LAST_PROGRESS.name).set(now());
                gauge!(WAITING.name, "reason" => SERVER).set(0.0);
                let mut run = self.run();
                run.totals += *totals;
                run.missing = run.missing.map(|missing| missing - totals.locked);
                run.show();
            }
            Event::SweepDone { missing, .. } => {
                gauge!(WAITING.name, "reason" => SERVER).set(0.0);
                let mut run = self.run();
                run.missing = Some(*missing);
                run.show();
            }
            Event::ChunkRetried { fault, .. } | Event::LedgerRetried { fault, .. } => {
                counter!(RETRIES.name, "reason" => retry_reason(*fault)).increment(1);
            }
            Event::ChunkHalved { .. } => setback("halved"),
            Event::ChunkPostponed { .. } => setback("postponed"),
            Event::LeaseLost { .. } => setback("lease_lost"),
            Event::LeaseTaken { .. } => counter!(LEASES_TAKEN.name).increment(1),
            // A rest is work as it was asked for, and no reason to look.
            Event::Throttled { reason: ThrottleReason::Pace, .. }
            | Event::ThrottleEnded { reason: ThrottleReason::Pace, .. } => {}
            Event::Throttled { reason, waited } => {
                // It was the server that told, but for one that cannot be read.
                gauge!(WAITING.name, "reason" => SERVER).set(0.0);
                gauge!(WAITING.name, "reason" => reason.kind()).set(1.0);
                self.run().waits.entry(reason.kind()).or_default().show(reason.kind(), *waited, false);
            }
            Event::ThrottleEnded { reason, waited } => {
                gauge!(WAITING.name, "reason" => reason.kind()).set(0.0);
                self.run().waits.entry(reason.kind()).or_default().show(reason.kind(), *waited, true);
            }
            Event::WaitingForServer { .. } => gauge!(WAITING.name, "reason" => SERVER).set(1.0),
            Event::ProjectQuarantined { class, .. } => {
                let known = Fault::ROW_CLASSES.into_iter().find(|known| known == class);
                counter!(QUARANTINED.name, "class" => known.unwrap_or("data_exception")).increment(1);
            }
            // The end is told by `ended`, which knows how it came.
            Event::WaitingForLease { .. } | Event::WorkerFailed { .. } | Event::RunFinished { .. } => {}
        }
    }
}

/// The process is over as far as this observer is told.
impl Drop for MetricsObserver {
    fn drop(&mut self) {
        gauge!(RUNNING.name).set(0.0);
    }
}

fn setback(kind: &'static str) {
    counter!(SETBACKS.name, "kind" => kind).increment(1);
}

/// The word for a retry; only these pass by themselves.
fn retry_reason(fault: Fault) -> &'static str {
    match fault {
        Fault::Transient | Fault::LockTimeout | Fault::StatementTimeout | Fault::ConnectionLost => {
            fault.as_str()
        }
        _ => "other",
    }
}

/// Each pair of labels with its count. A conflict is skipped: its row was there.
fn pairs(totals: &Totals) -> [(&'static str, &'static str, i64); 9] {
    let [school, self_study] = Kind::ALL;
    let skipped = |kind| totals.equal.of(kind) + totals.conflict.of(kind);
    [
        ("created", school.as_str(), totals.created.of(school)),
        ("created", self_study.as_str(), totals.created.of(self_study)),
        ("created", UNKNOWN, 0),
        ("skipped", school.as_str(), skipped(school)),
        ("skipped", self_study.as_str(), skipped(self_study)),
        ("skipped", UNKNOWN, totals.unknown),
        ("error", school.as_str(), totals.error.of(school)),
        ("error", self_study.as_str(), totals.error.of(self_study)),
        ("error", UNKNOWN, 0),
    ]
}
