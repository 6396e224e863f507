//! The wire breaks at a COMMIT of the restore, on either side of it: a fresh connection finds out what became of the step
//! and the command goes on. Where nobody can be asked it says so, and the same command afterwards goes on.

use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Cut, CuttingProxy};

use super::rig::{dropped, goes_on_to_the_end, leftovers, long_ago};
use crate::drop_legacy::rig::{json, legacy};
use crate::rig::sti_migrate;

const CUTS: [Cut; 2] = [Cut::BeforeCommit, Cut::AfterCommit];

/// What the transaction contains, and the arguments.
const STEPS: [(&str, &[&str]); 4] = [
    ("ADD COLUMN", &["restore-legacy"]),
    ("SET refilled_through = $1", &["restore-legacy"]),
    ("SET restored_at", &["restore-legacy"]),
    ("SET finished_at", &["restore-legacy", "--finish"]),
];

/// A database whose columns are dropped, or restored where the step is that of `--finish`; and its values.
fn ready_for(arguments: &[&str]) -> (TestDatabase, String) {
    let database = TestDatabase::postgres();
    let values = dropped(&database);
    if arguments.len() > 1 {
        json(&mut crate::rig::on(&database, &["restore-legacy"]), 0);
        long_ago(&database);
    }
    (database, values)
}

#[test]
fn at_any_commit_it_finds_out_and_goes_on() {
    for (marker, arguments) in STEPS {
        for cut in CUTS {
            let (database, values) = ready_for(arguments);
            let proxy = CuttingProxy::before(&database, marker, cut);
            let done = json(&mut sti_migrate(&[arguments, &["--database-url", proxy.url()]].concat()), 0);
            assert!(proxy.has_cut(), "{marker} {cut:?}");
            assert_eq!(done["outcome"], "done", "{marker} {cut:?}");
            if arguments.len() == 1 {
                assert_eq!(done["refilled"]["projects"], 5, "{marker} {cut:?}");
            }
            assert_eq!(legacy(&database), values);
            goes_on_to_the_end(&database, &values);
        }
    }
}

#[test]
fn nobody_can_be_asked() {
    for (marker, arguments) in STEPS {
        for cut in CUTS {
            let (database, values) = ready_for(arguments);
            let before = leftovers(&database);
            let proxy = CuttingProxy::before_and_unreachable_afterwards(&database, marker, cut);
            let output =
                sti_migrate(&[arguments, &["--database-url", proxy.url()]].concat()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(4), "{marker} {cut:?}: {said}");
            assert!(said.contains("no clear answer to COMMIT"), "{marker} {cut:?}: {said}");
            assert!(said.contains("the database could not be asked"), "{marker} {cut:?}: {said}");
            assert!(said.contains("run the same command again"), "{marker} {cut:?}: {said}");
            assert!(output.stdout.is_empty(), "nothing is reported as done");
            assert!(proxy.has_cut(), "{marker} {cut:?}");
            if cut == Cut::BeforeCommit && marker == "ADD COLUMN" {
                assert_eq!(
                    leftovers(&database),
                    before,
                    "columns come back with their triggers or not at all"
                );
            }
            goes_on_to_the_end(&database, &values);
        }
    }
}

/// In the verification, which is neither a chunk nor under locks.
#[test]
fn a_connection_that_is_lost_outside_of_a_chunk_is_worth_the_same_command_again() {
    let (database, values) = ready_for(&["restore-legacy"]);
    let proxy = CuttingProxy::before(&database, "AS traits, count(*) AS projects", Cut::BeforeCommit);
    let output = sti_migrate(&["restore-legacy", "--database-url", proxy.url()]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(proxy.has_cut(), "{said}");
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the same command goes on where this one stopped"), "{said}");
    goes_on_to_the_end(&database, &values);
}
