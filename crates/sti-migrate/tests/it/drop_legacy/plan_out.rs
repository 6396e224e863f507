//! `--plan-out`: the plan as a file for a pull request.

use std::fs;

use sti_core::both_backends;
use sti_core::test_support::TestDatabase;

use super::rig::{drop_legacy, json, ready, state};
use crate::rig::{named, on, shown, snapshot_text, sti_migrate};

both_backends! {
    the_plan_is_a_file, a_plan_that_is_refused_is_a_file_too, only_a_plan_of_ours_is_replaced,
    what_was_waived_is_on_record_with_its_evidence, only_a_regular_file_is_written,
}

fn the_plan_is_a_file(database: &TestDatabase) {
    ready(database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("PLAN.md");
    let before = state(database);
    let report = json(&mut drop_legacy(database, &["--plan-out", file.to_str().unwrap()]), 0);
    assert_eq!(state(database), before);
    let text = fs::read_to_string(&file).unwrap();
    let confirm = format!("--execute --confirm {}\n", report["digest"].as_str().unwrap());
    assert!(text.contains(&confirm), "{text}");
    snapshot_text(&named("plan_out_open", database), database, &text);

    // A later plan takes its place, and nothing else is left in the folder.
    let output = drop_legacy(database, &["--plan-out", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the plan is in "), "{}", shown(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn a_plan_that_is_refused_is_a_file_too(database: &TestDatabase) {
    ready(database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("PLAN.md");
    let arguments = ["drop-legacy", "--waive", "stray-values=1", "--plan-out", file.to_str().unwrap()];
    let output = on(database, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "as without the file: {}", shown(&output));
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("--confirm"), "there is nothing to confirm: {text}");
    snapshot_text(&named("plan_out_refused", database), database, &text);
}

fn only_a_plan_of_ours_is_replaced(database: &TestDatabase) {
    ready(database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("README.md");
    fs::write(&file, "# somebody's work\n").unwrap();
    for (place, why) in [
        (file.clone(), "what is there is no plan of this command"),
        (folder.path().to_owned(), "what is there is no regular file"),
        (folder.path().join("none/PLAN.md"), "entity not found"),
    ] {
        let output = drop_legacy(database, &["--plan-out", place.to_str().unwrap()]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(stderr.contains(why) && stderr.contains("choose another place for --plan-out"), "{stderr}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "# somebody's work\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A pipe is not read from, whether somebody holds its other end or nobody does.
fn only_a_regular_file_is_written(database: &TestDatabase) {
    ready(database);
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    // The standard output of this command is a pipe as well.
    for place in ["/dev/stdout", "/dev/null", pipe.to_str().unwrap(), link.to_str().unwrap()] {
        let mut command = std::process::Command::new("timeout");
        command.args(["20", env!("CARGO_BIN_EXE_sti-migrate"), "drop-legacy"]);
        let output = command.args(["--plan-out", place, "--database-url", database.url()]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{place}: {stderr}");
        assert!(stderr.contains("what is there is no regular file; nothing there was changed"), "{stderr}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// The record holds the waivers with their counts, and each gate with its evidence, as JSON. (Under the locks no ids are
/// looked for; the archive has every project.)
fn what_was_waived_is_on_record_with_its_evidence(database: &TestDatabase) {
    ready(database);
    let plan = json(&mut drop_legacy(database, &[]), 0);
    let digest = plan["digest"].as_str().unwrap();
    json(&mut drop_legacy(database, &["--execute", "--confirm", digest]), 0);
    let recorded = |column: &str| -> serde_json::Value {
        serde_json::from_str(&database.value(&format!("SELECT {column} FROM sti_drop_event"))).unwrap()
    };
    assert_eq!(
        recorded("waivers"),
        serde_json::json!([
            { "gate": "unknown-type", "allowed": 1, "found": 1 },
            { "gate": "stray-values", "allowed": 1, "found": 1 },
        ])
    );
    let gates = recorded("gates");
    let waived: Vec<_> =
        gates.as_array().unwrap().iter().filter(|gate| gate["verdict"] == "waived").collect();
    assert_eq!(waived.len(), 2, "{gates:#}");
    for gate in waived {
        assert!(!gate["evidence"].as_array().unwrap().is_empty(), "{gate:#}");
    }
}

#[test]
fn it_is_of_the_plan_alone() {
    for with in [&["--rehearse"][..], &["--execute", "--confirm", "0123456789ab"]] {
        let output = sti_migrate(&[&["drop-legacy", "--plan-out", "x"], with].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    }
}
