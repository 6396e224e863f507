use chrono::{DateTime, TimeDelta, Utc};
use sti_cli::Format;
use sti_core::backfill::control::Pause;
use sti_core::backfill::status::{Recent, WaitStatus};
use sti_core::backfill::{LastRun, PerKind, RunId, RunState, Scope, Totals};
use sti_core::db::sql_types::Timestamp;

use super::*;

fn at(seconds_ago: i64) -> Timestamp {
    let now: DateTime<Utc> = "2026-03-01T02:30:00Z".parse().unwrap();
    Timestamp(now - TimeDelta::seconds(seconds_ago))
}

fn run(state: RunState, condition: Condition) -> RunStatus {
    let totals = Totals {
        locked: 4_200_000,
        created: PerKind { school: 2_500_000, self_study: 1_600_000 },
        equal: PerKind { school: 60_000, self_study: 30_000 },
        conflict: PerKind { school: 1200, self_study: 300 },
        unknown: 8487,
        error: PerKind { school: 13, self_study: 0 },
    };
    RunStatus {
        run: LastRun {
            run: RunId(7),
            state,
            scope: Scope::NonDraft,
            sweep: 1,
            eligible: 90_000_000,
            started_at: at(1800),
            finished_at: None,
            stop_reason: None,
            started_by: "night-1/4711/a1b2c3d4".to_owned(),
            totals,
        },
        condition,
        last_checkpoint: Some(at(1)),
        recent: Some(Recent {
            chunks: 200,
            projects: 1_000_000,
            rate: 40_000.0,
            mean: Duration::from_millis(243),
            longest: Duration::from_millis(802),
        }),
        leases: Vec::new(),
        waits: Vec::new(),
        quarantined: Vec::new(),
    }
}

fn lease(number: i32, expires_in: i64) -> LeaseStatus {
    LeaseStatus {
        sweep: 1,
        number,
        owner: "night-1/4711/a1b2c3d4".to_owned(),
        since: Some(at(2)),
        expires_at: at(-expires_in),
        expired: expires_in < 0,
        attempts: 1,
    }
}

fn wait(reason: &str, waiting: bool, detail: &str) -> WaitStatus {
    WaitStatus {
        owner: "night-1/4711/a1b2c3d4".to_owned(),
        reason: reason.to_owned(),
        waited: Duration::from_secs(754),
        waiting,
        detail: detail.to_owned(),
        since: at(600),
    }
}

fn written(run: Option<RunStatus>, pause: Option<Pause>, format: Format) -> String {
    let status = Status { now: at(0), pause, run };
    let report =
        StatusReport { target: "PostgreSQL database ocean on db-1:5432".to_owned(), status: &status };
    let mut out = Vec::new();
    report.write(format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn pause() -> Pause {
    Pause { by: "ana@desk".to_owned(), reason: "users report slow pages".to_owned(), since: at(600) }
}

fn working() -> RunStatus {
    let mut run = run(RunState::Active, Condition::Working);
    let free = LeaseStatus { owner: String::new(), since: None, ..lease(812, -70) };
    run.leases = vec![free, lease(840, 43), lease(841, 44)];
    run.waits =
        vec![wait("replica_lag", false, "standby far is 12.0 s behind"), wait("pace", false, "resting")];
    run.quarantined = vec![("check_violation".to_owned(), 12), ("value_too_long".to_owned(), 1)];
    run
}

#[test]
fn working_in_all_formats() {
    for (name, format) in [("text", Format::Text), ("markdown", Format::Markdown), ("json", Format::Json)] {
        insta::assert_snapshot!(format!("status_working_{name}"), written(Some(working()), None, format));
    }
}

#[test]
fn each_condition_says_how_to_go_on() {
    let text = |run: RunStatus, pause: Option<Pause>| written(Some(run), pause, Format::Text);
    let mut waiting = run(RunState::Active, Condition::Waiting);
    waiting.waits = vec![wait(
        "paused",
        true,
        "paused by ana@desk since 2026-03-01 02:20:00 UTC (users report slow pages); `sti resume` lets it go on",
    )];
    insta::assert_snapshot!("status_paused", text(waiting, Some(pause())));

    let mut lagging = run(RunState::Active, Condition::Waiting);
    lagging.waits = vec![wait(
        "replica_lag",
        true,
        "standby far is 12.0 s behind, more than 10 s; it goes on when that is less",
    )];
    insta::assert_snapshot!("status_lagging", text(lagging, None));

    let mut stopped = run(RunState::Active, Condition::Stopped);
    stopped.last_checkpoint = Some(at(7500));
    insta::assert_snapshot!("status_stopped_and_paused", text(stopped, Some(pause())));

    let mut stalled = run(RunState::Active, Condition::Stalled);
    stalled.last_checkpoint = Some(at(400));
    stalled.leases = vec![lease(840, -290)];
    insta::assert_snapshot!("status_stalled", text(stalled, None));

    let mut given_up = run(RunState::Abandoned, Condition::GivenUp);
    given_up.run.finished_at = Some(at(60));
    given_up.run.stop_reason = Some("cancelled by ana@desk: wrong night".to_owned());
    insta::assert_snapshot!("status_given_up", text(given_up, None));

    let mut done = run(RunState::Done, Condition::Done);
    done.run.finished_at = Some(at(60));
    insta::assert_snapshot!("status_done", text(done, None));
    insta::assert_snapshot!("status_none", written(None, None, Format::Text));
}
