//! Somebody sits on a table when the drop is to take its locks, and still when it is to take away what it has made. What
//! can be taken away is, the rest is named, and `up` tells what it takes away. PostgreSQL only.

use std::process::Stdio;

use sti_core::test_support::{Session, TestDatabase};

use super::rig::{ARCHIVING, DROP, digest, drop_legacy, json, ready, state};
use crate::held::Gate;
use crate::rig::{on, snapshot, snapshot_text};

/// Runs a drop that meets a reader of `table` behind its snapshot; gives that reader, and the JSON report.
fn blocked(database: &TestDatabase, table: &str, format: &str) -> (Session, String) {
    let digest = digest(database);
    let gate = Gate::at(database, "archiving", ARCHIVING);
    let execute = ["--execute", "--confirm", &digest, "--attempts", "2", "--format", format];
    let child =
        drop_legacy(database, &execute).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate.reached(DROP);
    let reader = Session::open(database, "reports");
    reader.run(&format!("BEGIN; SELECT count(*) FROM {table}"));
    gate.open();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    gate.remove();
    (reader, String::from_utf8(output.stdout).unwrap())
}

#[test]
fn one_table_that_is_held_does_not_keep_the_others() {
    for table in ["projects_project", "projects_schoolproject", "projects_selfstudyproject"] {
        let database = TestDatabase::postgres();
        ready(&database);
        let before = state(&database);
        let (reader, report) = blocked(&database, table, "json");
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["outcome"], "blocked");
        let left = format!("triggers of the change log on {table}");
        assert_eq!(report["left_behind"], serde_json::json!([left]), "{table}");
        reader.run("COMMIT");
        json(&mut on(&database, &["up"]), 0);
        assert_eq!(state(&database), before, "{table}");
    }
}

#[test]
fn what_is_left_is_told_and_foretold() {
    let database = TestDatabase::postgres();
    ready(&database);
    let (reader, report) = blocked(&database, "projects_project", "text");
    let words = report.split("\n\n  gate ").next().unwrap();
    snapshot_text("drop_blocked_left_behind", &database, words);
    for format in ["text", "json"] {
        let mut dry_run = on(&database, &["up", "--dry-run", "--format", format]);
        snapshot(&format!("up_dry_run_left_behind_{format}"), None, &mut dry_run, 0);
    }
    reader.run("COMMIT");
    snapshot("up_takes_away", None, &mut on(&database, &["up"]), 0);
    let again = json(&mut on(&database, &["up"]), 0);
    assert_eq!((&again["outcome"], &again["taken_away"]), (&"unchanged".into(), &serde_json::json!([])));
    let (reader, _) = blocked(&database, "projects_project", "text");
    reader.run("COMMIT");
    let taken = json(&mut on(&database, &["up"]), 0);
    let triggers = serde_json::json!(["triggers of the change log on projects_project"]);
    assert_eq!((&taken["outcome"], &taken["taken_away"]), (&"changed".into(), &triggers));
}
