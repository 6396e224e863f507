//! The metrics: their names, kinds, labels and help in one place, and the observer that feeds them.
//!
//! They are told to the `metrics` facade, so a host's own recorder gets them; without a recorder they cost nothing.
//! `sti_backfill_processed_total` counts what this process committed.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::backfill::Totals;
use crate::models::Kind;
use crate::observe::{Event, Observer};

/// Projects processed, by `status` (created, skipped, error) and `project_type` (school, self_study, unknown).
pub const PROCESSED: &str = "sti_backfill_processed_total";
/// 1 while a run is under way in this process, else 0.
pub const RUNNING: &str = "sti_backfill_running";
/// Projects in scope when the run began.
pub const ELIGIBLE: &str = "sti_backfill_eligible_projects";
/// When a project was last processed; when the run started, at first.
pub const LAST_PROGRESS: &str = "sti_backfill_last_progress_timestamp_seconds";
/// When the run started in this process.
pub const START: &str = "sti_backfill_start_timestamp_seconds";
/// From BEGIN to the answer of COMMIT, of each committed chunk.
pub const CHUNK_DURATION: &str = "sti_backfill_chunk_duration_seconds";

/// The bucket bounds of [`CHUNK_DURATION`], in seconds; an exporter needs them to show a histogram.
pub const CHUNK_DURATION_BUCKETS: [f64; 12] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const STATUSES: [&str; 3] = ["created", "skipped", "error"];
const UNKNOWN: &str = "unknown";

/// Feeds the metrics from the events of a backfill.
#[derive(Debug)]
pub struct MetricsObserver(());

impl MetricsObserver {
    /// Describes every metric and sets every label pair to 0: a series that appears with its first error hides that
    /// error from every rate.
    #[must_use]
    pub fn new() -> Self {
        describe_counter!(PROCESSED, Unit::Count, "Projects processed");
        describe_gauge!(RUNNING, Unit::Count, "1 while a run is under way, else 0");
        describe_gauge!(ELIGIBLE, Unit::Count, "Projects in scope when the run began");
        describe_gauge!(START, Unit::Seconds, "Unix time at which the run started");
        describe_gauge!(LAST_PROGRESS, Unit::Seconds, "Unix time at which a project was last processed");
        describe_histogram!(CHUNK_DURATION, Unit::Seconds, "Time per committed chunk");
        for status in STATUSES {
            for project_type in Kind::ALL.map(Kind::as_str).into_iter().chain([UNKNOWN]) {
                counter!(PROCESSED, "status" => status, "project_type" => project_type).increment(0);
            }
        }
        gauge!(RUNNING).set(0.0);
        Self(())
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn event(&self, event: &Event) {
        match event {
            Event::RunStarted { eligible, .. } => {
                gauge!(RUNNING).set(1.0);
                gauge!(ELIGIBLE).set(*eligible as f64);
                gauge!(START).set(now());
                gauge!(LAST_PROGRESS).set(now());
            }
            Event::ChunkDone { totals, duration, .. } => {
                processed(totals);
                gauge!(LAST_PROGRESS).set(now());
                histogram!(CHUNK_DURATION).record(*duration);
            }
            _ => {}
        }
    }
}

/// The process is over as far as this observer is told.
impl Drop for MetricsObserver {
    fn drop(&mut self) {
        gauge!(RUNNING).set(0.0);
    }
}

fn processed(totals: &Totals) {
    let add = |status: &'static str, project_type: &'static str, count: i64| {
        counter!(PROCESSED, "status" => status, "project_type" => project_type)
            .increment(count.unsigned_abs());
    };
    for kind in Kind::ALL {
        add("created", kind.as_str(), totals.created.of(kind));
        add("skipped", kind.as_str(), totals.equal.of(kind) + totals.conflict.of(kind));
    }
    add("skipped", UNKNOWN, totals.unknown);
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
