//! What single events do to the metrics, without a database.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use sti_core::backfill::{BackfillError, PerKind, ThrottleReason, Totals};
use sti_core::db::error::Fault;
use sti_core::metrics::{MetricsObserver, Mode};
use sti_core::observe::{Event, Observer as _};

use super::value;

/// What is rendered after these events.
fn rendered(events: &[Event]) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let observer = MetricsObserver::new(Mode::Live);
        events.iter().for_each(|event| observer.event(event));
    });
    handle.render()
}

#[test]
fn a_project_that_leaves_the_quarantine_is_created_and_its_error_stays_counted() {
    let chunk = |totals| Event::ChunkDone { sweep: 1, number: 1, totals, duration: Duration::ZERO };
    let school = |school| PerKind { school, self_study: 0 };
    let text = rendered(&[
        chunk(Totals { locked: 2, created: school(1), error: school(1), ..Totals::default() }),
        chunk(Totals { locked: 0, created: school(1), error: school(-1), ..Totals::default() }),
    ]);
    let processed = |status| {
        value(&text, &format!("sti_backfill_processed_total{{status=\"{status}\",project_type=\"school\"}}"))
    };
    // Counters never go down; the gauge is what the run has now.
    assert_eq!((processed("created"), processed("error")), (2, 1));
    let run = |status| {
        value(&text, &format!("sti_backfill_run_projects{{status=\"{status}\",project_type=\"school\"}}"))
    };
    assert_eq!((run("created"), run("error")), (2, 0));
}

#[test]
fn quarantined_projects_are_told_by_the_rule_that_they_broke() {
    let refused = |class: &str| Event::ProjectQuarantined {
        project: sti_core::ProjectId::random(),
        class: class.to_owned(),
        message: "no".to_owned(),
    };
    let text = rendered(&["check_violation", "check_violation", "data_exception"].map(refused));
    let told = |class| value(&text, &format!("sti_backfill_quarantined_total{{class=\"{class}\"}}"));
    assert_eq!((told("check_violation"), told("data_exception"), told("unique_violation")), (2, 1, 0));
}

#[test]
fn waits_are_told_while_they_last_and_added_up() {
    let seconds = Duration::from_secs;
    let reason = || ThrottleReason::NoStandby;
    let waits = [
        Event::Throttled { reason: reason(), waited: Duration::ZERO },
        Event::Throttled { reason: reason(), waited: seconds(30) },
        Event::ThrottleEnded { reason: reason(), waited: seconds(40) },
        Event::Throttled { reason: reason(), waited: seconds(5) },
    ];
    let waiting = |text: &str| value(text, r#"sti_backfill_waiting{reason="replica_lag"}"#);
    let waited = |text: &str| value(text, r#"sti_backfill_waited_seconds_total{reason="replica_lag"}"#);
    for (events, expected) in [(1, (1, 0)), (2, (1, 30)), (3, (0, 40)), (4, (1, 45))] {
        let text = rendered(&waits[..events]);
        assert_eq!((waiting(&text), waited(&text)), expected, "{events} events");
    }
}

#[test]
fn retries_are_told_by_their_reason() {
    let retried = |fault| Event::ChunkRetried {
        sweep: 1,
        number: 1,
        retry: 1,
        fault,
        reason: String::new(),
        rest: Duration::ZERO,
    };
    let text =
        rendered(&[retried(Fault::Transient), retried(Fault::LockTimeout), retried(Fault::LockTimeout)]);
    let retries = |reason| value(&text, &format!("sti_backfill_chunk_retries_total{{reason=\"{reason}\"}}"));
    assert_eq!((retries("transient"), retries("lock_timeout"), retries("other")), (1, 2, 0));
}

#[test]
fn nothing_waits_any_more_when_the_backfill_has_ended() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let waiting = || value(&handle.render(), r#"sti_backfill_waiting{reason="server"}"#);
    metrics::with_local_recorder(&recorder, || {
        let observer = MetricsObserver::new(Mode::Live);
        observer.event(&Event::WaitingForServer {
            reason: String::new(),
            waited: Duration::ZERO,
            longest: Duration::from_secs(600),
        });
        assert_eq!(waiting(), 1);
        observer.ended(&Err(BackfillError::Threads("patience has ended".to_owned())));
        assert_eq!(waiting(), 0);
    });
}

#[test]
fn a_server_that_answers_in_a_pause_is_not_waited_for() {
    let away = Event::WaitingForServer {
        reason: String::new(),
        waited: Duration::ZERO,
        longest: Duration::from_secs(600),
    };
    let pause = || Event::Throttled { reason: ThrottleReason::NoStandby, waited: Duration::from_secs(30) };
    let swept = || Event::SweepDone { sweep: 1, missing: 0 };
    for event in [pause(), swept()] {
        let text = rendered(&[away.clone(), event]);
        assert_eq!(value(&text, r#"sti_backfill_waiting{reason="server"}"#), 0);
    }
}
