//! `cargo xtask staging-check` passes on both backends, and can fail: each defect that is planted turns its own step to
//! FAIL, no other one, and the exit code to 1.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The folder of the tools, built once by this test so that they are those of this tree.
fn tools() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(XTASK).parent().unwrap().to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the tools do not build");
        folder
    })
}

/// A walk over a small sample: what the process ended with, and its report.
fn walk(arguments: &[&str]) -> (Output, Value) {
    // Each commit of SQLite waits for the disk, if there is one.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut xtask = Command::new(XTASK);
    xtask.args(["staging-check", "--projects", "400", "--binaries"]).arg(tools());
    xtask.arg("--report").arg(folder.path()).args(arguments);
    let output = xtask.output().unwrap();
    let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap_or_default();
    (output, serde_json::from_str(&report).unwrap_or_default())
}

fn steps<'r>(report: &'r Value, verdict: &str) -> Vec<&'r str> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["verdict"] == verdict).map(|step| step["step"].as_str().unwrap()).collect()
}

#[track_caller]
fn passes(arguments: &[&str]) {
    let (output, report) = walk(arguments);
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{words}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(report["verdict"], "pass");
    assert_eq!(steps(&report, "fail"), [""; 0]);
    assert_eq!(steps(&report, "not_run"), [""; 0]);
}

#[test]
fn passes_on_sqlite() {
    passes(&[]);
}

#[test]
fn passes_on_postgres() {
    passes(&["--postgres"]);
}

#[track_caller]
fn fails_in(step: &str, defect: &str) {
    let (output, report) = walk(&["--plant", defect]);
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{words}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(report["verdict"], "fail");
    assert_eq!(steps(&report, "fail"), [step], "{words}");
    assert_eq!(steps(&report, "not_run"), [""; 0], "{words}");
    assert!(report["planted"].as_str().unwrap().starts_with(defect), "{report}");
}

macro_rules! defects {
    ($($test:ident: $defect:literal in $step:literal;)+) => {
        $(#[test]
        fn $test() {
            fails_in($step, $defect);
        })+

        /// Name and step of each.
        const DEFECTS: &[(&str, &str)] = &[$(($defect, $step)),+];
    };
}

defects! {
    value_trimmed: "value-trimmed" in "expand";
    miscount: "miscount" in "counts";
    dry_run_writes: "dry-run-writes" in "dry-run";
    ran_without_flag: "ran-without-flag" in "flag-off";
    row_lost_at_kill: "row-lost-at-kill" in "kill";
    refused_with_0: "refused-with-0" in "guard-incomplete";
    counted_twice: "counted-twice" in "resume";
    chunk_lost: "chunk-lost" in "resume";
    row_removed: "row-removed" in "backfill";
    draft_left_out: "draft-left-out" in "drafts";
    one_side_only: "one-side-only" in "dual-write";
    guard_that_counts: "guard-that-counts" in "trap";
    finding_not_told: "finding-not-told" in "verify";
    wrong_kind: "wrong-kind" in "repair";
    both_kinds: "both-kinds" in "repair";
    drifted_field: "drifted-field" in "clean";
    orphan: "orphan" in "clean";
    view_on_a_column: "view-on-a-column" in "guard";
    draft_only_in_legacy: "draft-only-in-legacy" in "guard";
    wrong_digest_accepted: "wrong-digest-accepted" in "digest";
    rehearsal_changes: "rehearsal-changes" in "rehearsal";
    archive_row_missing: "archive-row-missing" in "drop";
    archive_null_emptied: "archive-null-emptied" in "drop";
    write_lost: "write-lost" in "service";
}

#[test]
fn every_defect_is_tested() {
    let output = Command::new(XTASK).args(["staging-check", "--list-defects"]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.split(':').next()).collect();
    let tested: Vec<&str> = DEFECTS.iter().map(|(defect, _)| *defect).collect();
    assert_eq!(listed, tested);
}
