//! `kill -9` in the middle of a restore: the next command goes on, and every value is there.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use sti_core::both_backends;
use sti_core::test_support::{Session, TestDatabase};

use super::rig::{dropped, goes_on_to_the_end, leftovers, long_ago, restore_legacy};
use crate::drop_legacy::rig::{json, legacy};
use crate::held::{Held, kill, kill_at_ddl, wait_until};

both_backends! {
    while_recording_the_beginning,
    while_taking_back_the_migration,
    while_committing_the_beginning,
    while_refilling,
    while_recording_the_chunk,
    while_committing_a_chunk,
    while_recording_the_restore,
    while_committing_the_restore,
    while_finishing,
    while_committing_the_end,
}

const RESTORE: &str = "sti-migrate restore-legacy";

const fn held(table: &'static str, event: &'static str, condition: &'static str) -> Held {
    Held { table, event, condition, at_commit: false }
}

fn kill_at(database: &TestDatabase, held: Held) -> String {
    let values = dropped(database);
    held.kill(database, RESTORE, || start(database, &["--chunk", "2"]));
    values
}

fn while_recording_the_beginning(database: &TestDatabase) {
    let at = held("sti_drop_event", "BEFORE UPDATE", "OLD.restore_began_at IS NULL");
    let values = kill_at(database, at);
    assert_eq!(leftovers(database), 0, "all of the first step, or nothing");
    goes_on_to_the_end(database, &values);
}

fn while_taking_back_the_migration(database: &TestDatabase) {
    let values = kill_at(database, held("__diesel_schema_migrations", "BEFORE DELETE", "true"));
    assert_eq!(leftovers(database), 0);
    goes_on_to_the_end(database, &values);
}

/// PostgreSQL finishes a COMMIT whose client has died.
fn while_committing_the_beginning(database: &TestDatabase) {
    let began = "OLD.restore_began_at IS NULL AND NEW.restore_began_at IS NOT NULL";
    let values = kill_at(database, Held { at_commit: true, ..held("sti_drop_event", "AFTER UPDATE", began) });
    assert_eq!(leftovers(database) > 0, database.backend_name() == "postgres", "all of it, or nothing");
    goes_on_to_the_end(database, &values);
}

fn while_committing_a_chunk(database: &TestDatabase) {
    let second = "NEW.refilled_through > '00000000000000000000000000000002'";
    let values =
        kill_at(database, Held { at_commit: true, ..held("sti_drop_event", "AFTER UPDATE", second) });
    let done = json(&mut restore_legacy(database, &[]), 0);
    let left = if database.backend_name() == "postgres" { 1 } else { 3 };
    assert_eq!(done["refilled"]["projects"], left, "the chunk is there with its cursor, or neither is");
    goes_on_to_the_end(database, &values);
}

fn while_refilling(database: &TestDatabase) {
    let at = held("projects_project", "BEFORE UPDATE", "NEW.id > '00000000000000000000000000000002'");
    let values = kill_at(database, at);
    assert_eq!(
        database.count("sti_drop_event WHERE refilled_through IS NOT NULL"),
        1,
        "the first chunk stays"
    );
    let done = json(&mut restore_legacy(database, &[]), 0);
    assert_eq!(done["refilled"]["projects"], 3);
    goes_on_to_the_end(database, &values);
}

fn while_recording_the_chunk(database: &TestDatabase) {
    let at =
        held("sti_drop_event", "BEFORE UPDATE", "NEW.refilled_through > '00000000000000000000000000000002'");
    let values = kill_at(database, at);
    goes_on_to_the_end(database, &values);
}

const RESTORED: &str = "NEW.restored_at IS NOT NULL AND OLD.restored_at IS NULL";

fn while_recording_the_restore(database: &TestDatabase) {
    let values = kill_at(database, held("sti_drop_event", "BEFORE UPDATE", RESTORED));
    assert_eq!(database.count("sti_drop_event WHERE restored_at IS NULL"), 1);
    let done = json(&mut restore_legacy(database, &[]), 0);
    assert_eq!((&done["outcome"], &done["refilled"]["projects"]), (&"done".into(), &0.into()));
    goes_on_to_the_end(database, &values);
}

/// PostgreSQL finishes a COMMIT whose client has died.
fn while_committing_the_restore(database: &TestDatabase) {
    let at = Held { at_commit: true, ..held("sti_drop_event", "AFTER UPDATE", RESTORED) };
    let values = kill_at(database, at);
    let made = i64::from(database.backend_name() == "postgres");
    assert_eq!(database.count("sti_drop_event WHERE restored_at IS NOT NULL"), made);
    goes_on_to_the_end(database, &values);
}

const FINISH: &str = "sti-migrate restore-legacy --finish";

fn start(database: &TestDatabase, arguments: &[&str]) -> Child {
    let mut command = restore_legacy(database, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn while_finishing(database: &TestDatabase) {
    let values = dropped(database);
    json(&mut restore_legacy(database, &[]), 0);
    long_ago(database);
    let finished = held("sti_drop_event", "BEFORE UPDATE", "NEW.finished_at IS NOT NULL");
    finished.kill(database, FINISH, || start(database, &["--finish"]));
    assert!(leftovers(database) > 0, "all of it, or nothing");
    assert_eq!(legacy(database), values);
    goes_on_to_the_end(database, &values);
}

/// PostgreSQL finishes a COMMIT whose client has died.
fn while_committing_the_end(database: &TestDatabase) {
    let values = dropped(database);
    json(&mut restore_legacy(database, &[]), 0);
    long_ago(database);
    let finished = held("sti_drop_event", "AFTER UPDATE", "NEW.finished_at IS NOT NULL");
    Held { at_commit: true, ..finished }.kill(database, FINISH, || start(database, &["--finish"]));
    assert_eq!(leftovers(database) == 0, database.backend_name() == "postgres", "all of it, or nothing");
    goes_on_to_the_end(database, &values);
}

/// The columns, their triggers, and the triggers' end: a change of the schema that stops half way is none.
#[test]
fn while_changing_the_schema() {
    for tag in ["ALTER TABLE", "CREATE SEQUENCE", "CREATE TRIGGER"] {
        let database = TestDatabase::postgres();
        let values = dropped(&database);
        kill_at_ddl(&database, RESTORE, tag, || start(&database, &[]));
        assert_eq!(leftovers(&database), 0, "{tag}");
        assert_eq!(
            database.count(
                "information_schema.columns WHERE table_name = 'projects_project' AND column_name = 'course_name'"
            ),
            0,
            "{tag}"
        );
        goes_on_to_the_end(&database, &values);
    }
    let database = TestDatabase::postgres();
    let values = dropped(&database);
    json(&mut restore_legacy(&database, &[]), 0);
    long_ago(&database);
    let before = leftovers(&database);
    kill_at_ddl(&database, FINISH, "DROP SEQUENCE", || start(&database, &["--finish"]));
    assert_eq!(leftovers(&database), before, "all of them, or none");
    goes_on_to_the_end(&database, &values);
}

/// Killed between two attempts, or in the middle of one that waits for its locks.
#[test]
fn while_trying_for_the_locks() {
    let database = TestDatabase::postgres();
    let values = dropped(&database);
    let reader = Session::open(&database, "reports");
    reader.run("BEGIN; SELECT count(*) FROM projects_project");
    let mut child = restore_legacy(&database, &["--attempts", "1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("attempt 2 of 1000: ")));
    kill(&mut child);
    let sessions =
        format!("pg_stat_activity WHERE application_name = '{RESTORE}' AND datname = current_database()");
    wait_until("the server has ended the session", || database.count(&sessions) == 0);
    // Nothing stands in the way of the application.
    let writer = Session::open(&database, "web");
    writer.run("UPDATE projects_project SET name = name");
    reader.run("COMMIT");
    assert_eq!(leftovers(&database), 0);
    goes_on_to_the_end(&database, &values);
}
