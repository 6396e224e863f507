//! `kill -9` at each step of the drop: the next command finds everything as it was, or the drop made.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sti_core::both_backends;
use sti_core::contract::{Answer, Outcome};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;

use super::rig::{another, columns_left, drop_with, nothing_is_left, options, planned, ready, steps};

both_backends! { a_drop_that_is_killed_leaves_nothing_behind }

/// The child's part: URL, digest, the step, and the file that says that it stands there.
const CHILD: [&str; 4] = ["STI_TEST_URL", "STI_TEST_DIGEST", "STI_TEST_STEP", "STI_TEST_STANDS"];

#[test]
fn child() {
    let Some(given) = CHILD.map(|name| std::env::var(name).ok()).into_iter().collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let (step, stands) = (given[2].clone(), given[3].clone());
    let mut options = options();
    options.probe = Probe::new(move |at| {
        if format!("{at:?}") == step {
            fs::write(&stands, "here").unwrap();
            loop {
                thread::park();
            }
        }
    });
    let outcome = drop_with(&given[0], &options, &given[1]);
    panic!("it was not killed: {outcome:?}");
}

/// Runs the drop in a process of its own, and kills that at the step.
fn killed_at(database: &TestDatabase, digest: &str, step: Step, stands: &Path) {
    let step = format!("{step:?}");
    let given = [database.url(), digest, &step, stands.to_str().unwrap()];
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "contract::kill::child"])
        .envs(CHILD.into_iter().zip(given))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !stands.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its step");
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came to its step");
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn a_drop_that_is_killed_leaves_nothing_behind(database: &TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    for step in steps(database).iter().copied() {
        let database = &another(database);
        ready(database);
        let digest = planned(database, &options()).digest;
        killed_at(database, &digest, step, &folder.path().join(format!("{step:?}")));
        assert_eq!((columns_left(database), database.count("sti_drop_event")), (5, 0), "{step:?}");
        // The server may take a moment to notice; the next command waits for its locks as for any other.
        let Outcome::Done(done) = drop_with(database.url(), &options(), &digest).unwrap() else {
            panic!("{step:?}: not done")
        };
        assert_eq!((done.answer, done.archived, columns_left(database)), (Answer::Commit, 4, 0), "{step:?}");
        assert_eq!(
            (database.count("sti_drop_event"), database.count("sti_legacy_archive")),
            (1, 4),
            "{step:?}"
        );
        assert_eq!(database.count("sti_drop_permit"), 0);
        nothing_is_left(database);
    }
}
