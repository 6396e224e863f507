//! `kill -9` of the command that takes away what a killed drop has left, or of a rehearsal that takes away its own:
//! whatever is still there then, the next command takes it away or goes on to its drop. PostgreSQL only, for on SQLite
//! nothing is left of a drop that was killed.

use std::process::{Child, Command, Stdio};

use sti_core::test_support::TestDatabase;

use super::super::rig::{DROP, archived, digest, drop_legacy, json, legacy, ready, state};
use super::{Point, start};
use crate::held::{Held, kill_at_ddl};
use crate::rig::on;

/// Where the process is killed.
#[derive(Clone, Copy, Debug)]
enum At {
    Row(Held),
    /// A change of the schema, by its tag.
    Schema(&'static str),
}

const fn row(table: &'static str, event: &'static str, condition: &'static str) -> At {
    At::Row(Held { table, event, condition, at_commit: false })
}

const GIVING_UP: At = row("sti_drop_run", "BEFORE UPDATE", "NEW.abandoned");
const THE_ARCHIVE: At =
    row("sti_legacy_archive", "BEFORE DELETE", "OLD.project_id > '00000000000000000000000000000002'");
const THE_RECORD: At = row("sti_drop_run", "BEFORE DELETE", "true");

fn kill_at(database: &TestDatabase, at: At, application: &str, command: &mut Command) {
    let start = || -> Child { command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap() };
    match at {
        At::Row(held) => held.kill(database, application, start),
        At::Schema(tag) => kill_at_ddl(database, application, tag, start),
    }
}

/// A drop is killed, somebody writes, and `up` is killed while it takes away what is left.
fn up_is_killed(at: At) {
    for next_is_the_drop in [false, true] {
        let database = TestDatabase::postgres();
        ready(&database);
        let before = state(&database);
        let plan = digest(&database);
        Point::Permit.held().kill(&database, DROP, || start(&database, &plan));
        database.execute("UPDATE projects_project SET name = 'written behind it'");
        let values = legacy(&database);
        let left =
            ["sti_legacy_archive", "sti_drop_run", "sti_change_log"].map(|table| database.count(table));
        assert_eq!(left, [5, 1, 5]);

        kill_at(&database, at, "sti-migrate up", &mut on(&database, &["up"]));

        assert_eq!((legacy(&database), database.count("sti_drop_event")), (values.clone(), 0));
        let status = json(&mut on(&database, &["status"]), 0);
        assert_ne!(status["left_behind"], serde_json::json!([]));
        if next_is_the_drop {
            let arguments = ["--execute", "--confirm", &digest(&database)];
            assert_eq!(json(&mut drop_legacy(&database, &arguments), 0)["outcome"], "done");
            assert_eq!((archived(&database), database.count("sti_legacy_archive")), (values, 5));
        } else {
            json(&mut on(&database, &["up"]), 0);
            assert_eq!(state(&database), before);
        }
        let left = json(&mut on(&database, &["status"]), 0);
        assert_eq!(left["left_behind"], serde_json::json!([]));
    }
}

/// A rehearsal has come to its end, and is killed while it takes away what it has made.
fn a_rehearsal_is_killed(at: At) {
    let database = TestDatabase::postgres();
    ready(&database);
    let before = state(&database);
    kill_at(&database, at, DROP, &mut drop_legacy(&database, &["--rehearse"]));
    let status = json(&mut on(&database, &["status"]), 0);
    assert_ne!(status["left_behind"], serde_json::json!([]));
    assert_eq!(json(&mut drop_legacy(&database, &["--rehearse"]), 0)["outcome"], "rehearsed");
    assert_eq!(state(&database), before);
}

#[test]
fn while_giving_up() {
    up_is_killed(GIVING_UP);
    a_rehearsal_is_killed(GIVING_UP);
}

#[test]
fn while_silencing_the_change_log() {
    up_is_killed(At::Schema("CREATE FUNCTION"));
}

#[test]
fn while_taking_away_the_triggers() {
    up_is_killed(At::Schema("DROP TRIGGER"));
}

#[test]
fn while_taking_away_the_functions() {
    up_is_killed(At::Schema("DROP FUNCTION"));
}

#[test]
fn while_deleting_the_entries() {
    up_is_killed(row("sti_change_log", "BEFORE DELETE", "true"));
}

#[test]
fn while_deleting_what_was_archived() {
    up_is_killed(THE_ARCHIVE);
    a_rehearsal_is_killed(THE_ARCHIVE);
}

#[test]
fn while_deleting_the_record() {
    up_is_killed(THE_RECORD);
    a_rehearsal_is_killed(THE_RECORD);
}
