//! `sti-migrate back-out`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use sti_core::both_backends;
use sti_core::test_support::{Session, TestDatabase};

use crate::drop_legacy::rig::{json, legacy, ready};
use crate::restore_legacy::rig::{dropped, long_ago, restore_legacy};
use crate::rig::{named, on, signal, snapshot, sti_migrate};

both_backends! { planned_refused_and_done, refused_around_a_drop }

fn planned_refused_and_done(database: &TestDatabase) {
    ready(database);
    let values = legacy(database);
    let back_out = || on(database, &["back-out"]);
    database.execute(
        "UPDATE projects_schoolproject SET teacher_name = 'only here' WHERE course_name = 'Reefs'; \
         INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, tool_version, \
             started_by) VALUES ('active', false, 1, 3, '2026-01-02 03:04:05', 'test', 'host:1')",
    );
    snapshot("back_out_refused", Some(database), &mut back_out(), 1);
    let json_name = named("back_out_refused_json", database);
    snapshot(&json_name, Some(database), back_out().args(["--format", "json"]), 1);
    database.execute("UPDATE projects_schoolproject SET teacher_name = '' WHERE course_name = 'Reefs'");
    snapshot("back_out_plan", Some(database), &mut back_out(), 0);
    let plan = json(&mut back_out(), 0);
    let digest = plan["digest"].as_str().unwrap();
    let other = ["back-out", "--execute", "--confirm", "0123456789ab"];
    snapshot("back_out_another_plan", Some(database), &mut on(database, &other), 1);
    let execute = ["back-out", "--execute", "--confirm", digest];
    snapshot("back_out_done", Some(database), &mut on(database, &execute), 0);
    assert_eq!(legacy(database), values);
    assert_eq!(database.count("projects_schoolproject") + database.count("projects_selfstudyproject"), 0);
    let nothing = json(&mut back_out(), 0);
    assert_eq!(nothing["rows_before"]["school"], 0);
}

fn refused_around_a_drop(database: &TestDatabase) {
    let values = dropped(database);
    snapshot("back_out_dropped", Some(database), &mut on(database, &["back-out"]), 1);
    json(&mut restore_legacy(database, &[]), 0);
    snapshot("back_out_restoring", Some(database), &mut on(database, &["back-out"]), 1);
    long_ago(database);
    json(&mut restore_legacy(database, &["--finish"]), 0);
    let plan = json(&mut on(database, &["back-out"]), 0);
    let execute = ["back-out", "--execute", "--confirm", plan["digest"].as_str().unwrap()];
    let done = json(&mut on(database, &execute), 0);
    assert_eq!((&done["outcome"], &done["deleted"]["school"]), (&"done".into(), &2.into()));
    assert_eq!(legacy(database), values);
}

#[test]
fn bad_arguments() {
    for (name, arguments) in [
        ("back_out_bad_no_confirm", &["--execute"][..]),
        ("back_out_bad_no_execute", &["--confirm", "0123456789ab"]),
        ("back_out_bad_digest", &["--execute", "--confirm", "no"]),
        ("back_out_bad_unreachable", &["--database-url", "postgres://u:s3cret@127.0.0.1:1/ocean"]),
    ] {
        snapshot(name, None, &mut sti_migrate(&[&["back-out"], arguments].concat()), 2);
    }
    let empty = TestDatabase::sqlite();
    snapshot("back_out_bad_empty", Some(&empty), &mut on(&empty, &["back-out"]), 2);
}

/// The first signal stops it behind the chunk that is under way; here that one is rolled back, for a row is locked.
#[test]
fn a_signal_stops_it() {
    let database = TestDatabase::postgres();
    ready(&database);
    let values = legacy(&database);
    let rows = || database.count("projects_schoolproject") + database.count("projects_selfstudyproject");
    let before = rows();
    let plan = json(&mut on(&database, &["back-out"]), 0);
    let holder = Session::open(&database, "holder");
    holder.run("BEGIN; SELECT id FROM projects_project FOR UPDATE");
    let execute = ["back-out", "--execute", "--confirm", plan["digest"].as_str().unwrap()];
    let mut command = on(&database, &[&execute[..], &["--format", "json"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    // So it is at work, and listens.
    assert!(said.any(|line| line.starts_with("attempt 1 of 6")));
    signal(&child, "INT");
    let said: Vec<String> = said.collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{said:#?}");
    assert!(
        said.iter().any(|line| line.starts_with("asked to stop, which it does behind the plan or the chunk")),
        "{said:#?}"
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["outcome"], &report["deleted"]["school"]), (&"stopped".into(), &0.into()));
    assert_eq!(report["next"], serde_json::json!(["sti-migrate back-out"]));
    assert_eq!((rows(), legacy(&database)), (before, values));
}
