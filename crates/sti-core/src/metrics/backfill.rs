//! The observer that feeds the metrics of a backfill.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::{counter, gauge, histogram};

use super::catalogue::{
    BACKFILL, CHUNK_DURATION, CHUNK_PROJECTS, CONFLICTS, ELIGIBLE, ENDING, INFO, LAST_COMPLETION,
    LAST_DURATION, LAST_PROGRESS, LAST_SUCCESS, LAST_SUCCESS_TIMESTAMP, LEASES_TAKEN, PROCESSED, REMAINING,
    RETRIES, RUN_PROJECTS, RUNNING, START, SWEEP, WAITING,
};
use super::now;
use crate::backfill::{Backfill, BackfillError, Ending, RunId, Totals};
use crate::models::Kind;
use crate::observe::{Event, Observer};

const UNKNOWN: &str = "unknown";

/// What chunks wait for; rests between them are no waits.
const WAITS: [&str; 4] = ["paused", "window", "replica_lag", "unreadable"];

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
        counter!(RETRIES.name).increment(0);
        counter!(LEASES_TAKEN.name).increment(0);
        for reason in WAITS {
            gauge!(WAITING.name, "reason" => reason).set(0.0);
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
    pub fn ledger(&self, id: RunId, totals: &Totals) {
        let mut run = self.run();
        if run.id == Some(id) && totals.locked >= run.totals.locked {
            run.totals = *totals;
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
        // Last, so that whoever sees 0 sees the end as well.
        gauge!(RUNNING.name).set(0.0);
    }
}

impl Observer for MetricsObserver {
    fn event(&self, event: &Event) {
        match event {
            Event::RunStarted { run: id, eligible, totals, .. } => {
                let mut run = self.run();
                *run = Run { id: Some(*id), totals: *totals, eligible: *eligible, missing: None };
                run.show();
                gauge!(ELIGIBLE.name).set(*eligible as f64);
                gauge!(START.name).set(now());
                gauge!(LAST_PROGRESS.name).set(now());
                gauge!(RUNNING.name).set(1.0);
            }
            Event::ChunkDone { sweep, totals, duration, .. } => {
                for (status, project_type, count) in pairs(totals) {
                    counter!(PROCESSED.name, "status" => status, "project_type" => project_type)
                        .increment(count.unsigned_abs());
                }
                histogram!(CHUNK_DURATION.name).record(*duration);
                gauge!(CHUNK_PROJECTS.name).set(totals.locked as f64);
                gauge!(SWEEP.name).set(f64::from(*sweep));
                gauge!(LAST_PROGRESS.name).set(now());
                let mut run = self.run();
                run.totals += *totals;
                run.missing = run.missing.map(|missing| missing - totals.locked);
                run.show();
            }
            Event::SweepDone { missing, .. } => {
                let mut run = self.run();
                run.missing = Some(*missing);
                run.show();
            }
            Event::ChunkRetried { .. } | Event::LedgerRetried { .. } => counter!(RETRIES.name).increment(1),
            Event::LeaseTaken { .. } => counter!(LEASES_TAKEN.name).increment(1),
            Event::Throttled { reason, .. } => gauge!(WAITING.name, "reason" => reason.kind()).set(1.0),
            Event::ThrottleEnded { reason, .. } => gauge!(WAITING.name, "reason" => reason.kind()).set(0.0),
            // The end is told by `ended`, which knows how it came.
            Event::ChunkHalved { .. }
            | Event::ChunkPostponed { .. }
            | Event::ProjectQuarantined { .. }
            | Event::WaitingForServer { .. }
            | Event::LeaseLost { .. }
            | Event::WaitingForLease { .. }
            | Event::WorkerFailed { .. }
            | Event::RunFinished { .. } => {}
        }
    }
}

/// The process is over as far as this observer is told.
impl Drop for MetricsObserver {
    fn drop(&mut self) {
        gauge!(RUNNING.name).set(0.0);
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
