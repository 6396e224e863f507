//! `sti status --format json`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sti_core::backfill::status::{Condition, RunStatus, Status};
use sti_core::backfill::{Scope, Totals};

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct StatusJson<'s> {
    target: &'s str,
    now: DateTime<Utc>,
    pause: Option<PauseJson<'s>>,
    run: Option<RunJson<'s>>,
}

#[derive(Debug, Serialize)]
struct PauseJson<'s> {
    by: &'s str,
    reason: &'s str,
    since: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct RunJson<'s> {
    id: i64,
    condition: Condition,
    scope: Scope,
    sweep: i32,
    eligible: i64,
    totals: Totals,
    started_at: DateTime<Utc>,
    started_by: &'s str,
    finished_at: Option<DateTime<Utc>>,
    stop_reason: Option<&'s str>,
    last_checkpoint: Option<DateTime<Utc>>,
    recent: Option<RecentJson>,
    seconds_left: Option<u64>,
    leases: Vec<LeaseJson<'s>>,
    waits: Vec<WaitJson<'s>>,
    quarantined: Vec<QuarantinedJson<'s>>,
}

#[derive(Debug, Serialize)]
struct RecentJson {
    chunks: i64,
    projects: i64,
    projects_per_second: i64,
    mean_ms: u128,
    longest_ms: u128,
}

#[derive(Debug, Serialize)]
struct LeaseJson<'s> {
    sweep: i32,
    number: i32,
    owner: &'s str,
    since: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    expired: bool,
    attempts: i32,
}

#[derive(Debug, Serialize)]
struct WaitJson<'s> {
    owner: &'s str,
    reason: &'s str,
    seconds: u64,
    waiting: bool,
    detail: &'s str,
    since: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct QuarantinedJson<'s> {
    class: &'s str,
    projects: i64,
}

impl<'s> StatusJson<'s> {
    pub(super) fn new(target: &'s str, status: &'s Status) -> Self {
        let pause = status.pause.as_ref();
        Self {
            target,
            now: status.now.0,
            pause: pause.map(|pause| PauseJson {
                by: &pause.by,
                reason: &pause.reason,
                since: pause.since.0,
            }),
            run: status.run.as_ref().map(RunJson::new),
        }
    }
}

impl<'s> RunJson<'s> {
    fn new(status: &'s RunStatus) -> Self {
        let run = &status.run;
        let recent = status.recent.map(|recent| RecentJson {
            chunks: recent.chunks,
            projects: recent.projects,
            projects_per_second: recent.rate as i64,
            mean_ms: recent.mean.as_millis(),
            longest_ms: recent.longest.as_millis(),
        });
        let leases = status.leases.iter().map(|lease| LeaseJson {
            sweep: lease.sweep,
            number: lease.number,
            owner: &lease.owner,
            since: lease.since.map(|since| since.0),
            expires_at: lease.expires_at.0,
            expired: lease.expired,
            attempts: lease.attempts,
        });
        let waits = status.waits.iter().map(|wait| WaitJson {
            owner: &wait.owner,
            reason: &wait.reason,
            seconds: wait.waited.as_secs(),
            waiting: wait.waiting,
            detail: &wait.detail,
            since: wait.since.0,
        });
        let quarantined = status.quarantined.iter();
        Self {
            id: run.run.0,
            condition: status.condition,
            scope: run.scope,
            sweep: run.sweep,
            eligible: run.eligible,
            totals: run.totals,
            started_at: run.started_at.0,
            started_by: &run.started_by,
            finished_at: run.finished_at.map(|at| at.0),
            stop_reason: run.stop_reason.as_deref(),
            last_checkpoint: status.last_checkpoint.map(|at| at.0),
            recent,
            seconds_left: status.time_left().map(|left| left.as_secs()),
            leases: leases.collect(),
            waits: waits.collect(),
            quarantined: quarantined
                .map(|(class, projects)| QuarantinedJson { class, projects: *projects })
                .collect(),
        }
    }
}
