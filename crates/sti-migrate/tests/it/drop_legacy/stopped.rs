//! SIGINT and SIGTERM while a drop or a rehearsal is at work ahead of its locks. PostgreSQL only, where there is such a
//! time.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use sti_core::test_support::TestDatabase;

use super::rig::{ARCHIVING, DROP, digest, drop_legacy, json, legacy, ready, state};
use crate::held::{Gate, Held, wait_until, wait_until_gone};
use crate::rig::{on, signal};

/// Waits for the end of a process; gives its exit code and what it has said on standard error.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

fn start(database: &TestDatabase, arguments: &[&str]) -> Child {
    drop_legacy(database, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    for name in ["INT", "TERM"] {
        for rehearsal in [false, true] {
            let database = TestDatabase::postgres();
            ready(&database);
            let before = state(&database);
            let digest = digest(&database);
            let arguments =
                if rehearsal { vec!["--rehearse"] } else { vec!["--execute", "--confirm", &digest] };
            let gate = Gate::at(&database, "archiving", ARCHIVING);
            let child = start(&database, &arguments);
            gate.reached(DROP);
            signal(&child, name);
            // The gate stays closed: the statement is cancelled where it stands.
            let (exit, said) = ended(child);
            assert_eq!(exit, Some(3), "{said}");
            assert!(said.contains("asked to stop: what was made is being taken away"), "{said}");
            let last = said.lines().last().unwrap_or_default();
            assert!(
                last.ends_with(
                    "stopped, as asked: this command has dropped nothing, and nothing of it is left"
                ),
                "{said}"
            );
            gate.remove();
            assert_eq!(state(&database), before);
            assert_eq!(
                json(&mut drop_legacy(&database, &arguments), 0)["outcome"],
                if rehearsal { "rehearsed" } else { "done" }
            );
        }
    }
}

/// The second signal does not wait for the end of anything, so what became of a drop is unknown, and of a rehearsal it is
/// not.
#[test]
fn a_second_signal_leaves_at_once() {
    for (rehearsal, exit) in [(false, 4), (true, 3)] {
        let database = TestDatabase::postgres();
        ready(&database);
        let before = state(&database);
        let values = legacy(&database);
        let digest = digest(&database);
        let arguments = if rehearsal { vec!["--rehearse"] } else { vec!["--execute", "--confirm", &digest] };
        // It takes away what it has made, and is held there.
        let taking_away = Held {
            table: "sti_drop_run",
            event: "BEFORE UPDATE",
            condition: "NEW.abandoned",
            at_commit: false,
        };
        let archiving = Gate::at(&database, "archiving", ARCHIVING);
        let gate = Gate::at(&database, "taking_away", taking_away);
        let mut child = start(&database, &arguments);
        archiving.reached(DROP);
        signal(&child, "INT");
        gate.reached(DROP);
        // What comes within a moment is the same signal.
        wait_until("it leaves", || {
            signal(&child, "INT");
            std::thread::sleep(Duration::from_millis(100));
            child.try_wait().unwrap().is_some()
        });
        assert_eq!(child.wait().unwrap().code(), Some(exit));
        archiving.open();
        gate.open();
        wait_until_gone(&database, DROP);
        archiving.remove();
        gate.remove();
        assert_eq!((legacy(&database), database.count("sti_drop_event")), (values, 0));
        wait_until("what is left is given up", || {
            json(&mut on(&database, &["up"]), 0);
            state(&database) == before
        });
    }
}

/// Somebody is in the way of taking the triggers away: that is said, and the next command does it.
#[test]
fn what_cannot_be_taken_away_is_named() {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = state(&database);
    let digest = digest(&database);
    let gate = Gate::at(&database, "archiving", ARCHIVING);
    let child = start(&database, &["--execute", "--confirm", &digest, "--attempts", "3"]);
    gate.reached(DROP);
    let reader = sti_core::test_support::Session::open(&database, "reports");
    reader.run("BEGIN; SELECT count(*) FROM projects_project");
    signal(&child, "INT");
    let (exit, said) = ended(child);
    assert_eq!(exit, Some(3), "{said}");
    assert!(
        said.contains(
            "Left behind, until the next drop or `sti-migrate up`: triggers of the change log on projects_project"
        ),
        "{said}"
    );
    reader.run("COMMIT");
    gate.remove();
    json(&mut on(&database, &["up"]), 0);
    assert_eq!(state(&database), before);
}
