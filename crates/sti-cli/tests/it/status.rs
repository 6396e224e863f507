//! `sti status` and `sti runs` beside a backfill in another process.

use sti_core::test_support::TestDatabase;

use crate::pause::{Running, told};
use crate::rig::{json, migrate, settings, shown, sti_on};

sti_core::both_backends! { a_missing_table, no_run_yet }
sti_core::both_backends! { django: a_run_from_its_first_chunk_to_its_end }

fn a_missing_table(database: &TestDatabase) {
    for command in ["status", "runs"] {
        let output = sti_on(database, &[command]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert!(shown(&output).contains("table sti_backfill_run is not there: run `sti-migrate up` first"));
    }
}

fn no_run_yet(database: &TestDatabase) {
    migrate(database);
    for (name, arguments) in [("status_no_run", &["status", "--watch"][..]), ("runs_no_run", &["runs"])] {
        let output = sti_on(database, arguments).output().unwrap();
        settings(Some(database)).bind(|| insta::assert_snapshot!(name, shown(&output)));
    }
}

fn a_run_from_its_first_chunk_to_its_end(database: &TestDatabase) {
    migrate(database);
    let status = |exit| json(&sti_on(database, &["status", "--format", "json"]).output().unwrap(), exit);
    let mut backfill = Running::start(database);
    backfill.until("chunk 2:");
    assert_eq!(status(0)["run"]["condition"], "working");

    told(database, &["pause", "--reason", "look"]).output().unwrap();
    backfill.until("waiting: ");
    let paused = status(0);
    assert_eq!(paused["run"]["condition"], "waiting");
    assert_eq!(paused["run"]["leases"], serde_json::json!([]));
    assert_eq!(paused["pause"]["reason"], "look");
    let waits = paused["run"]["waits"].as_array().unwrap();
    assert!(waits.iter().any(|wait| wait["reason"] == "paused" && wait["waiting"] == true), "{waits:?}");
    let text = shown(&sti_on(database, &["status"]).output().unwrap());
    assert!(text.contains("Run 1 waits since ") && text.contains("\n    sti resume\n"), "{text}");

    told(database, &["cancel", "--reason", "enough"]).output().unwrap();
    backfill.end(1);
    // The run has ended, so a watch ends by itself.
    let over = json(&sti_on(database, &["status", "--watch", "1", "--format", "json"]).output().unwrap(), 0);
    assert_eq!(over["run"]["condition"], "given_up");
    assert_eq!(over["run"]["totals"]["created"], paused["run"]["totals"]["created"]);

    told(database, &["resume"]).output().unwrap();
    assert_eq!(
        sti_on(database, &["backfill"]).output().unwrap().status.code(),
        Some(1),
        "there are conflicts"
    );
    let runs = json(&sti_on(database, &["runs", "--format", "json"]).output().unwrap(), 0);
    let states: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| &run["state"]).collect();
    assert_eq!(states, ["done", "abandoned"]);
    // How many rows the first run had made when it was cancelled depends on who was faster.
    let of = |counts: &serde_json::Value| {
        counts["school"].as_i64().unwrap() + counts["self_study"].as_i64().unwrap()
    };
    let second = &runs["runs"][0]["totals"];
    assert_eq!(of(&second["created"]) + of(&second["equal"]), 8_747);
    assert!(of(&second["equal"]) >= of(&over["run"]["totals"]["created"]));
    let mut filters = settings(Some(database));
    filters.add_filter(r"[\d,]+ +\d+( +20 +0 +182 )", "[created] [equal]$1");
    filters.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[moment, to the s]");
    filters.add_filter(r"[^\s|]+/\d+/[0-9a-f]{8}", "[process]");
    filters.add_filter(r"ana@[^\s:,]+", "ana@[host]");
    let one = sti_on(database, &["runs", "--limit", "1"]).output().unwrap();
    filters.bind(|| insta::assert_snapshot!("runs_limit", shown(&one)));
}
