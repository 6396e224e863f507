//! `sti status` and `sti runs` beside a backfill in another process.

use std::io::{BufRead as _, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

use sti_core::test_support::TestDatabase;

use crate::pause::{Running, told};
use crate::rig::{json, migrate, settings, shown, sti, sti_on};

sti_core::both_backends! { a_missing_table, no_run_yet }
sti_core::both_backends! { a_watch_ends_when_nobody_reads }
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

/// A run that nobody works on, so that a watch does not come to an end.
pub(crate) fn a_run_is_left(database: &TestDatabase) {
    database.execute(
        "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, tool_version, \
         started_by) VALUES ('active', false, 1, 10, '2026-01-02 03:04:05', '1', 'host/1/x')",
    );
}

/// As with `| head -1`: also while there is nothing new to print.
fn a_watch_ends_when_nobody_reads(database: &TestDatabase) {
    migrate(database);
    a_run_is_left(database);
    for seconds in ["1", "3600"] {
        let mut watch = Running::of(&mut sti_on(database, &["status", "--watch", seconds]));
        let mut line = String::new();
        let mut out = BufReader::new(watch.child.stdout.take().unwrap());
        assert!(out.read_line(&mut line).unwrap() > 0);
        drop(out);
        let begun = Instant::now();
        let ended = loop {
            if let Some(ended) = watch.child.try_wait().unwrap() {
                break ended;
            }
            if begun.elapsed() > Duration::from_secs(20) {
                watch.child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(ended.code(), Some(3), "as without a watch; none: it went on");
        assert!(watch.lines.nth(1).is_none(), "it says which database it looks at, and nothing else");
    }
}

#[test]
fn a_watch_says_why_it_cannot_look_and_looks_again() {
    let database = TestDatabase::postgres();
    migrate(&database);
    a_run_is_left(&database);
    let url = database.application_role();
    let may_log_in = |may: &str| {
        database.execute(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER ROLE %I {may}', current_database() || '_app'); \
             EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA public TO %I', current_database() || '_app'); END $$; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'sti status' AND datname = current_database()"
        ));
    };
    may_log_in("LOGIN");
    let mut watch = Running::of(&mut sti(&["status", "--watch", "1", "--database-url", &url]));
    let out = BufReader::new(watch.child.stdout.take().unwrap());
    let mut lines = out.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("Run 1 is under way")));
    may_log_in("NOLOGIN");
    watch.until("is not permitted to log in; trying again");
    may_log_in("LOGIN");
    let begun = Instant::now();
    while database
        .count("pg_stat_activity WHERE application_name = 'sti status' AND datname = current_database()")
        == 0
    {
        assert!(begun.elapsed() < Duration::from_secs(20), "it opened no new connection");
    }

    may_log_in("NOLOGIN");
    watch.until("is not permitted to log in; trying again");
    let pid = watch.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    watch.until("error: cannot connect to ");
    assert_eq!(watch.child.wait().unwrap().code(), Some(2), "the last that was seen says nothing");
}
