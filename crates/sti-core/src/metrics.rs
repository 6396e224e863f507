//! The metrics: what there is, in one catalogue, and what feeds them.
//!
//! They are told to the `metrics` facade, so a host's own recorder gets them; without a recorder they cost nothing.
//! Counters count what this process committed; gauges that name a run hold what the ledger says about all of it.

mod backfill;
mod catalogue;
mod command;
mod contract;
mod foreign;
mod metric;
mod verify;

pub use backfill::{MetricsObserver, Mode};
pub use catalogue::{
    BACKFILL, CHUNK_DURATION, CHUNK_PROJECTS, COMMAND, COMMAND_COMPLETION, COMMAND_DURATION, COMMAND_EXIT,
    CONFLICTS, DROP, DROP_GATE, DROP_HELD, DROP_RETRIES, ELIGIBLE, ENDING, INFO, LAST_CHECK, LAST_COMPLETION,
    LAST_DURATION, LAST_PROGRESS, LAST_SUCCESS, LAST_SUCCESS_TIMESTAMP, LEASES_TAKEN, OLDEST_LEASE,
    PROCESSED, PROJECTS, QUARANTINED, REMAINING, RETRIES, RUN_PROJECTS, RUNNING, SETBACKS, START, SWEEP,
    VERIFICATION, VERIFY_FINDINGS, WAITED, WAITING,
};
pub use command::command_ended;
pub use contract::{drop_locks_held, drop_locks_retried, drop_planned};
pub use foreign::FOREIGN;
pub use metric::{Emitter, Label, Metric, MetricKind, MetricUnit, Values};
pub use verify::verified;

/// Every metric that this crate feeds, in the order of the documentation.
pub fn ours() -> impl Iterator<Item = &'static Metric> {
    [COMMAND, BACKFILL, VERIFICATION, DROP].into_iter().flatten().copied()
}

/// Every metric that the rules and the dashboard may name: ours, and those of the exporters beside us.
pub fn catalogue() -> impl Iterator<Item = &'static Metric> {
    ours().chain(FOREIGN)
}

/// Seconds since 1970, by this machine's clock.
fn now() -> f64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
