//! `cargo xtask staging-check` passes on both backends, and can fail: each defect that is planted turns its own step to
//! FAIL, no other one, and the exit code to 1.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod copy;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;
use sti_core::test_support::TestDatabase;

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
    let steps = report["steps"].as_array().into_iter().flatten();
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
    assert_eq!(steps(&report, "left_out"), [""; 0]);
    assert_eq!(report["summary"]["passed"], report["summary"]["steps"]);
}

#[test]
fn passes_on_sqlite() {
    passes(&[]);
}

#[test]
fn passes_on_postgres() {
    passes(&["--postgres"]);
}

/// Each defect, and the step whose row it must turn to FAIL.
const DEFECTS: [(&str, &str); 34] = [
    ("value-trimmed", "expand"),
    ("miscount", "counts"),
    ("dry-run-writes", "dry-run"),
    ("ran-without-flag", "flag-off"),
    ("row-lost-at-kill", "kill"),
    ("refused-with-0", "guard-incomplete"),
    ("counted-twice", "resume"),
    ("chunk-lost", "resume"),
    ("row-removed", "backfill"),
    ("draft-left-out", "drafts"),
    ("one-side-only", "dual-write"),
    ("guard-that-counts", "trap"),
    ("finding-not-told", "verify"),
    ("wrong-kind", "repair"),
    ("both-kinds", "repair"),
    ("drifted-field", "clean"),
    ("orphan", "clean"),
    ("view-on-a-column", "guard"),
    ("draft-only-in-legacy", "guard"),
    ("wrong-digest-accepted", "digest"),
    ("rehearsal-changes", "rehearsal"),
    ("stray-value", "rehearsal"),
    ("unknown-type", "rehearsal"),
    ("archive-row-missing", "drop"),
    ("archive-null-emptied", "drop"),
    ("write-lost", "service"),
    ("refill-altered", "restore"),
    ("changed-after-the-drop", "restore"),
    ("stray-value-changed", "restore"),
    ("null-emptied", "restore"),
    ("trigger-left", "finish"),
    ("legacy-write-lost", "legacy"),
    ("drift-left", "drift-found"),
    ("image-lost", "drift-found"),
];

/// What is wrong with a walk that has a defect planted; nothing if its own row fails and no other one.
fn complaint((defect, step): (&str, &str), scratch: Option<&TestDatabase>) -> Option<String> {
    let place = scratch.map(|scratch| ["--scratch-url", scratch.url()]);
    let arguments = [["--plant", defect]].into_iter().chain(place);
    let (output, report) = walk(&arguments.flatten().collect::<Vec<_>>());
    let fails = output.status.code() == Some(1)
        && report["verdict"] == "fail"
        && report["planted"].as_str().is_some_and(|planted| planted.starts_with(defect))
        && steps(&report, "fail") == [step]
        && steps(&report, "not_run").is_empty();
    let words = [output.stdout, output.stderr].map(|words| String::from_utf8_lossy(&words).into_owned());
    (!fails).then(|| format!("{defect} in {step}, exit {:?}\n{}", output.status, words.concat()))
}

/// Several at a time: most of a walk is waiting for other processes.
#[track_caller]
fn each_turns_its_own_row_to_fail(scratch: fn() -> Option<TestDatabase>) {
    tools();
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(defect) = DEFECTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Not under the lock: the walks would come one after the other.
                    let complaint = complaint(*defect, scratch().as_ref());
                    complaints.lock().unwrap().extend(complaint);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

mod each_defect_turns_its_own_row_to_fail {
    use super::*;

    #[test]
    fn sqlite() {
        each_turns_its_own_row_to_fail(|| None);
    }

    #[test]
    fn postgres() {
        each_turns_its_own_row_to_fail(|| Some(TestDatabase::postgres()));
    }
}

#[test]
fn every_defect_is_tested() {
    let output = Command::new(XTASK).args(["staging-check", "--list-defects"]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.split(':').next()).collect();
    let tested: Vec<&str> = DEFECTS.iter().map(|(defect, _)| *defect).collect();
    assert_eq!(listed, tested);
}
