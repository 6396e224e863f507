//! Our metrics, one constant each: the only place where their names, labels and helps are written.

use crate::db::error::Fault;

use super::metric::{Emitter, Label, Metric, MetricKind, MetricUnit, Values};
use MetricKind::{Counter, Gauge, Histogram};
use MetricUnit::{Count, Flag, Seconds, UnixTime};

/// Every command of every binary.
pub const COMMAND: &[&Metric] = &[&COMMAND_EXIT, &COMMAND_DURATION, &COMMAND_COMPLETION];

/// `sti backfill`.
pub const BACKFILL: &[&Metric] = &[
    &PROCESSED,
    &RUN_PROJECTS,
    &CONFLICTS,
    &RUNNING,
    &ELIGIBLE,
    &REMAINING,
    &SWEEP,
    &START,
    &LAST_PROGRESS,
    &LAST_COMPLETION,
    &LAST_SUCCESS_TIMESTAMP,
    &LAST_DURATION,
    &LAST_SUCCESS,
    &ENDING,
    &CHUNK_DURATION,
    &CHUNK_PROJECTS,
    &RETRIES,
    &SETBACKS,
    &QUARANTINED,
    &LEASES_TAKEN,
    &OLDEST_LEASE,
    &WAITING,
    &WAITED,
    &INFO,
];

/// `sti-migrate drop-legacy`.
pub const DROP: &[&Metric] = &[&DROP_GATE, &DROP_RETRIES, &DROP_HELD];

/// `sti-verify`.
pub const VERIFICATION: &[&Metric] = &[&VERIFY_FINDINGS, &PROJECTS, &LAST_CHECK];

const fn ours(
    name: &'static str,
    kind: MetricKind,
    unit: MetricUnit,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, help, emitter: Emitter::Sti }
}

const fn one_of(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Of(values) }
}

const STATUS: Label = one_of("status", &["created", "skipped", "error"]);
const PROJECT_TYPE: Label = one_of("project_type", &["school", "self_study", "unknown"]);
const KNOWN_TYPE: Label = one_of("project_type", &["school", "self_study"]);
const COMMAND_LABEL: Label =
    Label { name: "command", values: Values::Free("the command, as in `sti backfill`; one in each process") };

/// The exit code of a command.
pub const COMMAND_EXIT: Metric = ours(
    "sti_command_exit_code",
    Gauge,
    Count,
    &[COMMAND_LABEL],
    "Exit code of the command that ended: 0 done, 1 negative answer, 2 could not, 3 stopped, 4 unknown",
);
/// How long a command took.
pub const COMMAND_DURATION: Metric = ours(
    "sti_command_duration_seconds",
    Gauge,
    Seconds,
    &[COMMAND_LABEL],
    "Duration of the command that ended",
);
/// When a command ended.
pub const COMMAND_COMPLETION: Metric = ours(
    "sti_command_completion_timestamp_seconds",
    Gauge,
    UnixTime,
    &[COMMAND_LABEL],
    "Unix time at which the command ended",
);

/// Projects that this process has done.
pub const PROCESSED: Metric = ours(
    "sti_backfill_processed_total",
    Counter,
    Count,
    &[STATUS, PROJECT_TYPE],
    "Projects processed and committed by this process",
);
/// Projects that the run has done, whoever did them.
pub const RUN_PROJECTS: Metric = ours(
    "sti_backfill_run_projects",
    Gauge,
    Count,
    &[STATUS, PROJECT_TYPE],
    "Projects processed by the whole run, as the ledger has them",
);
/// The skipped projects of the run that ask for a look.
pub const CONFLICTS: Metric = ours(
    "sti_backfill_run_conflict_projects",
    Gauge,
    Count,
    &[KNOWN_TYPE],
    "Projects of the whole run whose row was there with other values (a part of those skipped)",
);
/// Whether a run is under way in this process.
pub const RUNNING: Metric =
    ours("sti_backfill_running", Gauge, Flag, &[], "1 while a run is under way in this process, else 0");
/// Projects in scope.
pub const ELIGIBLE: Metric =
    ours("sti_backfill_eligible_projects", Gauge, Count, &[], "Projects in scope when the run began");
/// Projects still to do.
pub const REMAINING: Metric = ours(
    "sti_backfill_remaining_projects",
    Gauge,
    Count,
    &[],
    "Projects that the run has not come to; after a sweep, those that still lack their row",
);
/// The sweep that is under way.
pub const SWEEP: Metric =
    ours("sti_backfill_sweep", Gauge, Count, &[], "Sweep of the last committed chunk, from 1");
/// When this process took the run up.
pub const START: Metric = ours(
    "sti_backfill_start_timestamp_seconds",
    Gauge,
    UnixTime,
    &[],
    "Unix time at which this process began or resumed the run",
);
/// When a project was last processed.
pub const LAST_PROGRESS: Metric = ours(
    "sti_backfill_last_progress_timestamp_seconds",
    Gauge,
    UnixTime,
    &[],
    "Unix time at which a chunk was last committed; the start time at first",
);
/// When this process's part of the run ended.
pub const LAST_COMPLETION: Metric = ours(
    "sti_backfill_last_completion_timestamp_seconds",
    Gauge,
    UnixTime,
    &[],
    "Unix time at which the backfill ended, however it ended",
);
/// When a run was completed.
pub const LAST_SUCCESS_TIMESTAMP: Metric = ours(
    "sti_backfill_last_success_timestamp_seconds",
    Gauge,
    UnixTime,
    &[],
    "Unix time at which a run was completed",
);
/// How long this process worked on the run.
pub const LAST_DURATION: Metric = ours(
    "sti_backfill_last_run_duration_seconds",
    Gauge,
    Seconds,
    &[],
    "Duration of the backfill that ended",
);
/// Whether the run was completed.
pub const LAST_SUCCESS: Metric = ours(
    "sti_backfill_last_run_success",
    Gauge,
    Flag,
    &[],
    "1 if the run was completed, 0 if it failed; absent while it runs and after a stop that was asked for",
);
/// How the backfill ended.
pub const ENDING: Metric = ours(
    "sti_backfill_last_run_ending",
    Gauge,
    Flag,
    &[one_of(
        "ending",
        &["complete", "still_missing", "stopped", "given_up", "ended_elsewhere", "too_many_errors", "failed"],
    )],
    "1 for the way in which the backfill ended",
);
/// From BEGIN to the answer of COMMIT, of each committed chunk.
pub const CHUNK_DURATION: Metric = ours(
    "sti_backfill_chunk_duration_seconds",
    Histogram(&[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
    Seconds,
    &[],
    "Time from BEGIN to the answer of COMMIT, per committed chunk",
);
/// How large chunks are.
pub const CHUNK_PROJECTS: Metric =
    ours("sti_backfill_chunk_projects", Gauge, Count, &[], "Projects in the last committed chunk");
/// Transactions that were rolled back and tried again.
pub const RETRIES: Metric = ours(
    "sti_backfill_chunk_retries_total",
    Counter,
    Count,
    &[one_of("reason", &["transient", "lock_timeout", "statement_timeout", "connection_lost", "other"])],
    "Transactions of chunks, or of the ledger, that were rolled back and tried again",
);
/// What kept chunks from going the straight way.
pub const SETBACKS: Metric = ours(
    "sti_backfill_chunk_setbacks_total",
    Counter,
    Count,
    &[one_of("kind", &["halved", "postponed", "lease_lost"])],
    "Chunks that were cut in two, put to the end of the sweep, or lost to another process",
);
/// Projects that the database refused.
pub const QUARANTINED: Metric = ours(
    "sti_backfill_quarantined_total",
    Counter,
    Count,
    &[one_of("class", &Fault::ROW_CLASSES)],
    "Projects that this process put into quarantine, by the rule that their row broke",
);
/// The oldest lease of the run.
pub const OLDEST_LEASE: Metric = ours(
    "sti_backfill_oldest_lease_timestamp_seconds",
    Gauge,
    UnixTime,
    &[],
    "Unix time, by the database's clock, at which the oldest lease that is held was taken; 0 without one",
);
/// Leases of others.
pub const LEASES_TAKEN: Metric = ours(
    "sti_backfill_leases_taken_over_total",
    Counter,
    Count,
    &[],
    "Leases taken over from a process that died or stood still",
);
/// Whether the chunks wait for something.
pub const WAITING: Metric = ours(
    "sti_backfill_waiting",
    Gauge,
    Flag,
    &[one_of("reason", &["paused", "window", "replica_lag", "gate", "unreadable", "server"])],
    "1 while no chunk begins for this reason: a wait that was asked for is no stall",
);
/// How long the chunks have waited.
pub const WAITED: Metric = ours(
    "sti_backfill_waited_seconds_total",
    Counter,
    Seconds,
    &[one_of("reason", &["paused", "window", "replica_lag", "gate", "unreadable"])],
    "Whole seconds for which no chunk of this process began, by reason",
);
/// What is running.
pub const INFO: Metric = ours(
    "sti_backfill_info",
    Gauge,
    Flag,
    &[
        Label { name: "version", values: Values::Free("the version of sti") },
        one_of("mode", &["live", "dry_run"]),
    ],
    "Version and mode of the backfill; a dry run leaves the counters at 0",
);

/// The gates of the drop.
pub const DROP_GATE: Metric = ours(
    "sti_drop_gate_open",
    Gauge,
    Flag,
    &[Label { name: "gate", values: Values::Free("the gate, as in `sti-migrate drop-legacy`") }],
    "1 if the gate of the drop is open (passed or waived), 0 if it is shut",
);
/// Tries for the locks.
pub const DROP_RETRIES: Metric = ours(
    "sti_drop_lock_retries_total",
    Counter,
    Count,
    &[],
    "Tries for the locks of the drop that ended without them",
);
/// How long nobody could read or write projects.
pub const DROP_HELD: Metric = ours(
    "sti_drop_lock_held_seconds",
    Gauge,
    Seconds,
    &[],
    "How long the drop, or its rehearsal, held its locks",
);

/// What the last verification found.
pub const VERIFY_FINDINGS: Metric = ours(
    "sti_verify_projects",
    Gauge,
    Count,
    &[
        one_of("severity", &["finding", "notice"]),
        one_of(
            "class",
            &[
                "missing",
                "missing_draft",
                "wrong_kind",
                "both_kinds",
                "orphan_school",
                "orphan_self_study",
                "drift",
                "unknown_type",
                "stray_value",
                "null_became_empty",
                "draft_without_row",
                "draft_with_row",
            ],
        ),
    ],
    "Projects, or orphaned rows, in each class of the last verification",
);
/// How far the split has come.
pub const PROJECTS: Metric = ours(
    "sti_projects",
    Gauge,
    Count,
    &[PROJECT_TYPE, one_of("coverage", &["covered", "missing", "mismatch"])],
    "Projects by the last verification: row there and equal, row missing, row there with other values",
);
/// When the last verification was.
pub const LAST_CHECK: Metric = ours(
    "sti_integrity_last_check_timestamp_seconds",
    Gauge,
    UnixTime,
    &[],
    "Unix time of the last verification",
);
