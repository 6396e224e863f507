//! `sti backfill --gate`.

use sti_core::test_support::TestDatabase;

use super::server::Prometheus;
use super::{DATABASE, fine};
use crate::faults::process::Process;
use crate::rig::{json, migrate, shown, sti_on};

sti_core::both_backends! { django: a_backfill_waits_while_the_gate_says_stop }

fn backfill(database: &TestDatabase, url: &str) -> Process {
    let arguments = [
        "backfill",
        "--chunk",
        "500",
        "--workers",
        "2",
        "--pace",
        "0.9",
        "--verbose",
        "--format",
        "json",
        "--gate",
        url,
        "--gate-every",
        "50ms",
    ];
    Process::start(sti_on(database, &arguments))
}

fn a_backfill_waits_while_the_gate_says_stop(database: &TestDatabase) {
    migrate(database);
    // A series that is not there means stop as well.
    let server = Prometheus::start(fine().into_iter().filter(|(part, ..)| *part != DATABASE.0).collect());
    let running = backfill(database, server.url());
    running.wait_until_it_says("waiting: the gate says stop: database cannot be read (no such series)");
    assert_eq!(database.count("sti_backfill_chunk"), 0);
    server.answer(fine());
    running.wait_until_it_says("waited");
    running.wait_until_it_says("chunk 3:");
    let mut answers = fine();
    answers[4] = (DATABASE.0, DATABASE.1, "1.5");
    server.answer(answers);
    running.wait_until_it_says("waiting: the gate says stop: database is 1.50x, more than 1.20x");
    let status = json(&sti_on(database, &["status", "--format", "json"]).output().unwrap(), 0);
    assert_eq!(status["run"]["condition"], "waiting");
    assert_eq!(database.count("sti_backfill_chunk WHERE state = 'leased'"), 0);
    server.answer(fine());
    let ended = running.end();
    let report = json(&ended, 1);
    assert_eq!(report["ending"], "complete", "{}", shown(&ended));
    assert_eq!(database.count("sti_backfill_wait WHERE reason = 'gate' AND NOT waiting"), 1);
}

#[test]
fn a_prometheus_that_cannot_be_asked_means_stop() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    // Port 9 is discard: nothing listens.
    let running = backfill(&database, "http://127.0.0.1:9");
    running.wait_until_it_says("waiting: cannot ask Prometheus at http://127.0.0.1:9/");
    running.signal("TERM");
    assert_eq!(running.end().status.code(), Some(3));
    assert_eq!(database.count("sti_backfill_chunk"), 0);
}

#[test]
fn what_is_left_out_is_no_reason_to_wait() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    let server =
        Prometheus::start(fine().into_iter().filter(|(part, ..)| !part.starts_with("errors_per")).collect());
    let arguments = ["backfill", "--gate", server.url(), "--gate-without", "backfill-errors"];
    let mut command = sti_on(&database, &arguments);
    let output = command.args(["--gate-without", "backfill-errors-now"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}
