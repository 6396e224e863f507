//! The wire breaks at the COMMIT of the drop, on either side of it. The command says what the catalogue says, or that
//! nobody could be asked; the same command afterwards says what became of it, or does it.

use std::process::{Command, Stdio};

use serde_json::Value;
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Cut, CuttingProxy};

use super::rig::{ARCHIVING, DROP, WAIVED, archived, digest, drop_legacy, json, legacy, ready, state};
use crate::held::Gate;
use crate::rig::{on, snapshot, snapshot_text, sti_migrate};

/// The first statement that a drop writes.
const MARKER: &str = "INSERT INTO sti_drop_event";

/// A database that is ready, and what it holds.
struct Rig {
    database: TestDatabase,
    digest: String,
    before: Vec<String>,
    values: String,
}

impl Rig {
    fn new() -> Self {
        let database = TestDatabase::postgres();
        ready(&database);
        let (digest, before, values) = (digest(&database), state(&database), legacy(&database));
        Self { database, digest, before, values }
    }

    fn through(&self, proxy: &CuttingProxy) -> Command {
        let execute = ["--execute", "--confirm", &self.digest, "--database-url", proxy.url()];
        sti_migrate(&[&["drop-legacy"], &WAIVED[..], &execute].concat())
    }

    fn again(&self) -> Value {
        json(&mut drop_legacy(&self.database, &["--execute", "--confirm", &self.digest]), 0)
    }

    #[track_caller]
    fn nothing_happened(&self) {
        assert_eq!(state(&self.database), self.before);
    }

    #[track_caller]
    fn nothing_was_dropped(&self) {
        assert_eq!((legacy(&self.database), self.database.count("sti_drop_event")), (self.values.clone(), 0));
    }

    #[track_caller]
    fn it_was_made_once(&self) {
        assert_eq!(archived(&self.database), self.values);
        let after = state(&self.database);
        for line in [
            "legacy columns: 0",
            "sti_drop_event: 1 rows",
            "sti_drop_permit: 0 rows",
            "sti_drop_run: 1 rows",
            "sti_change_log: 0 rows",
            "triggers: 0",
        ] {
            assert!(after.contains(&line.to_owned()), "{line}: {after:#?}");
        }
    }
}

#[test]
fn before_the_commit_nothing_was_done() {
    let rig = Rig::new();
    let proxy = CuttingProxy::before(&rig.database, MARKER, Cut::BeforeCommit);
    snapshot("drop_not_done", None, &mut rig.through(&proxy), 1);
    assert!(proxy.has_cut());
    rig.nothing_happened();
    let proxy = CuttingProxy::before(&rig.database, MARKER, Cut::BeforeCommit);
    let report = json(&mut rig.through(&proxy), 1);
    assert_eq!((&report["outcome"], &report["digest"]), (&"not_done".into(), &rig.digest.as_str().into()));
    let again = rig.again();
    assert_eq!((&again["outcome"], &again["answer"]), (&"done".into(), &"commit".into()));
    rig.it_was_made_once();
}

#[test]
fn after_the_commit_it_was_done() {
    let rig = Rig::new();
    let proxy = CuttingProxy::before(&rig.database, MARKER, Cut::AfterCommit);
    snapshot("drop_done_unheard", None, &mut rig.through(&proxy), 0);
    assert!(proxy.has_cut());
    rig.it_was_made_once();
    assert_eq!(rig.again()["answer"], "earlier");
    rig.it_was_made_once();
}

/// What it had made goes over a new connection.
#[test]
fn a_rehearsal_leaves_nothing() {
    let rig = Rig::new();
    for format in ["text", "json"] {
        let gate = Gate::at(&rig.database, "archiving", ARCHIVING);
        let mut rehearsal = drop_legacy(&rig.database, &["--rehearse", "--format", format]);
        let child = rehearsal.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        gate.reached(DROP);
        rig.database.execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{DROP}' \
                AND datname = current_database() AND wait_event = 'PgSleep'"
        ));
        let output = child.wait_with_output().unwrap();
        gate.remove();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        snapshot_text(&format!("rehearsal_not_done_{format}"), &rig.database, &said);
        rig.nothing_happened();
    }
    rig.again();
}

#[test]
fn a_rehearsal_that_cannot_take_away_what_it_has_made_says_so() {
    let rig = Rig::new();
    let marker = "INSERT INTO sti_legacy_archive";
    let proxy = CuttingProxy::before_and_unreachable_afterwards(&rig.database, marker, Cut::BeforeCommit);
    let rehearse = ["--rehearse", "--database-url", proxy.url()];
    let mut rehearsal = sti_migrate(&[&["drop-legacy"], &WAIVED[..], &rehearse].concat());
    snapshot("rehearsal_lost", None, &mut rehearsal, 1);
    assert!(proxy.has_cut());
    rig.nothing_was_dropped();
    json(&mut on(&rig.database, &["up"]), 0);
    rig.nothing_happened();
}

#[test]
fn nobody_can_be_asked_and_nothing_was_done() {
    let rig = Rig::new();
    let proxy = CuttingProxy::before_and_unreachable_afterwards(&rig.database, MARKER, Cut::BeforeCommit);
    let report = json(&mut rig.through(&proxy), 4);
    assert_eq!((&report["outcome"], &report["event"]), (&"unknown".into(), &1.into()));
    assert!(proxy.has_cut());
    // What was done ahead of the locks is left for the next command to take away.
    rig.nothing_was_dropped();
    assert_eq!(rig.again()["answer"], "commit");
    rig.it_was_made_once();
}

#[test]
fn nobody_can_be_asked_and_it_was_done() {
    let rig = Rig::new();
    let proxy = CuttingProxy::before_and_unreachable_afterwards(&rig.database, MARKER, Cut::AfterCommit);
    snapshot("drop_unknown", None, &mut rig.through(&proxy), 4);
    assert!(proxy.has_cut());
    rig.it_was_made_once();
    assert_eq!(rig.again()["answer"], "earlier");
    rig.it_was_made_once();
}
