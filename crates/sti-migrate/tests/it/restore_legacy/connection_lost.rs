//! The wire breaks at a COMMIT of the restore, on either side of it: the command says so, and the same command
//! afterwards goes on.

use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Cut, CuttingProxy};

use super::rig::{dropped, goes_on_to_the_end, leftovers};
use crate::drop_legacy::rig::json;
use crate::rig::sti_migrate;

const CUTS: [Cut; 2] = [Cut::BeforeCommit, Cut::AfterCommit];

/// What the transaction contains, and the arguments.
const STEPS: [(&str, &[&str]); 4] = [
    ("ADD COLUMN", &["restore-legacy"]),
    ("SET refilled_through = $1", &["restore-legacy"]),
    ("SET restored_at", &["restore-legacy"]),
    ("SET finished_at", &["restore-legacy", "--finish"]),
];

#[test]
fn at_any_commit() {
    for (marker, arguments) in STEPS {
        for cut in CUTS {
            let database = TestDatabase::postgres();
            let values = dropped(&database);
            if arguments.len() > 1 {
                json(&mut crate::rig::on(&database, &["restore-legacy"]), 0);
            }
            let proxy = CuttingProxy::before(&database, marker, cut);
            let arguments = [arguments, &["--database-url", proxy.url()]].concat();
            let output = sti_migrate(&arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(4), "{marker} {cut:?}: {said}");
            assert!(said.contains("the connection was lost at COMMIT"), "{marker} {cut:?}: {said}");
            assert!(said.contains("run the same command again"), "{marker} {cut:?}: {said}");
            assert!(output.stdout.is_empty(), "nothing is reported as done");
            assert!(proxy.has_cut(), "{marker} {cut:?}");
            goes_on_to_the_end(&database, &values);
        }
    }
}

/// Nothing was sent that could have been done.
#[test]
fn columns_come_back_with_their_triggers_or_not_at_all() {
    for (cut, expected) in [(Cut::BeforeCommit, false), (Cut::AfterCommit, true)] {
        let database = TestDatabase::postgres();
        dropped(&database);
        let proxy = CuttingProxy::before(&database, "ADD COLUMN", cut);
        let arguments = ["restore-legacy", "--database-url", proxy.url()];
        assert_eq!(sti_migrate(&arguments).output().unwrap().status.code(), Some(4));
        let columns = database.count(
            "information_schema.columns WHERE table_name = 'projects_project' AND column_name = 'course_name'",
        );
        assert_eq!((columns > 0, leftovers(&database) > 0), (expected, expected), "{cut:?}");
    }
}
