//! What it prints, in every ending.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sti_core::both_backends;
use sti_core::test_support::{Session, TestDatabase};

use super::rig::{drop_again, dropped, goes_on_to_the_end, leftovers, long_ago, restore_legacy};
use crate::drop_legacy::rig::{json, legacy, ready};
use crate::held::Held;
use crate::rig::{named, on, signal, snapshot, snapshot_formats, snapshot_text, sti_migrate};

both_backends! {
    done_and_finished,
    nothing_to_restore,
    not_equal_after_the_refill,
    an_archive_that_is_not_whole,
    gone_without_a_record,
    drop_restore_drop_restore,
}

fn done_and_finished(database: &TestDatabase) {
    let values = dropped(database);
    let status = |name: &str| snapshot(name, Some(database), &mut on(database, &["status"]), 0);
    status("status_dropped");
    snapshot("finish_refused", Some(database), &mut restore_legacy(database, &["--finish"]), 1);
    snapshot("restore_done", Some(database), &mut restore_legacy(database, &["--chunk", "2"]), 0);
    assert_eq!(legacy(database), values);
    status("status_restored");
    snapshot_formats("restore_already", database, &["restore-legacy"], 0);
    long_ago(database);
    snapshot("finish_done", Some(database), &mut restore_legacy(database, &["--finish"]), 0);
    status("status_finished");
    let json_name = named("status_finished_json", database);
    snapshot(&json_name, Some(database), on(database, &["status"]).args(["--format", "json"]), 0);
    snapshot_formats("finish_already", database, &["restore-legacy", "--finish"], 0);
    snapshot("restore_already_finished", Some(database), &mut restore_legacy(database, &[]), 0);
}

fn nothing_to_restore(database: &TestDatabase) {
    ready(database);
    let values = legacy(database);
    snapshot_formats("restore_nothing_dropped", database, &["restore-legacy"], 1);
    snapshot("finish_nothing_dropped", Some(database), &mut restore_legacy(database, &["--finish"]), 1);
    assert_eq!(legacy(database), values);
    assert_eq!(leftovers(database), 0);
}

/// A row that somebody deleted, and a value that somebody put into the columns.
fn not_equal_after_the_refill(database: &TestDatabase) {
    dropped(database);
    database.execute(
        "ALTER TABLE projects_project ADD COLUMN course_name varchar(255); \
         UPDATE projects_project SET course_name = 'by hand' WHERE id = '00000000000000000000000000000001'; \
         DELETE FROM projects_selfstudyproject WHERE goal_description LIKE 'to swim%'",
    );
    snapshot("restore_not_verified", Some(database), &mut restore_legacy(database, &[]), 1);
    let json_name = named("restore_not_verified_json", database);
    snapshot(&json_name, Some(database), restore_legacy(database, &[]).args(["--format", "json"]), 1);
    snapshot("status_not_verified", Some(database), &mut on(database, &["status"]), 0);
    assert_eq!(on(database, &["restore-legacy", "--finish"]).output().unwrap().status.code(), Some(1));
    // What it says is what helps; the row that somebody deleted is made anew, and empty.
    database.execute(
        "UPDATE projects_schoolproject SET course_name = 'by hand' WHERE course_name = 'Reefs'; \
         INSERT INTO projects_selfstudyproject VALUES ('00000000000000000000000000000003', '', '')",
    );
    let done = json(&mut restore_legacy(database, &[]), 0);
    assert_eq!((&done["outcome"], &done["refilled"]["projects"]), (&"done".into(), &0.into()));
}

fn an_archive_that_is_not_whole(database: &TestDatabase) {
    dropped(database);
    database.execute("DELETE FROM sti_legacy_archive WHERE project_type = 'SCHOOL'");
    snapshot_formats("restore_archive_incomplete", database, &["restore-legacy"], 1);
    assert_eq!(leftovers(database), 0);
}

fn gone_without_a_record(database: &TestDatabase) {
    dropped(database);
    database.execute("DELETE FROM sti_legacy_archive; DELETE FROM sti_drop_run; DELETE FROM sti_drop_event");
    snapshot("restore_no_event", Some(database), &mut restore_legacy(database, &[]), 2);
}

fn drop_restore_drop_restore(database: &TestDatabase) {
    let values = dropped(database);
    goes_on_to_the_end(database, &values);
    drop_again(database);
    database.execute("UPDATE projects_schoolproject SET teacher_name = 'new' WHERE course_name = 'Reefs'");
    let done = json(&mut restore_legacy(database, &[]), 0);
    assert_eq!((&done["outcome"], &done["event"]), (&"done".into(), &2.into()));
    assert_eq!(done["refilled"]["superseded"], 0, "NULL has been changed, and no value");
    database.execute("UPDATE projects_schoolproject SET teacher_name = '' WHERE course_name = 'Reefs'");
    database.execute("UPDATE projects_project SET teacher_name = NULL WHERE teacher_name = ''");
    assert_eq!(legacy(database), values);
}

#[test]
fn somebody_is_in_the_way() {
    let database = TestDatabase::postgres();
    let values = dropped(&database);
    let reader = Session::open(&database, "reports");
    reader.run("BEGIN; SELECT count(*) FROM projects_project");
    snapshot("restore_locked", Some(&database), &mut restore_legacy(&database, &["--attempts", "2"]), 3);
    assert_eq!(leftovers(&database), 0);
    reader.run("COMMIT");
    goes_on_to_the_end(&database, &values);
}

#[test]
fn a_writer_that_still_writes_rows_alone() {
    let database = TestDatabase::postgres();
    dropped(&database);
    json(&mut restore_legacy(&database, &[]), 0);
    long_ago(&database);
    database.execute("UPDATE projects_schoolproject SET teacher_name = 'row only'");
    snapshot("finish_still_needed", Some(&database), &mut restore_legacy(&database, &["--finish"]), 1);
    assert!(leftovers(&database) > 0);
}

/// One command right after the other, as the first one says.
#[test]
fn a_writer_that_goes_on_writing_rows_alone() {
    let database = TestDatabase::postgres();
    dropped(&database);
    json(&mut restore_legacy(&database, &[]), 0);
    let mut finish = restore_legacy(&database, &["--finish"]).stdout(Stdio::piped()).spawn().unwrap();
    for number in 0.. {
        database.execute(&format!("UPDATE projects_schoolproject SET teacher_name = 'row only {number}'"));
        if finish.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let output = finish.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("somebody wrote a subtype row and not the legacy columns"), "{said}");
    assert!(leftovers(&database) > 0);
    assert_eq!(database.count("projects_project WHERE teacher_name LIKE 'row only%'"), 2);
}

#[test]
fn a_signal_while_the_triggers_are_watched() {
    let database = TestDatabase::postgres();
    let values = dropped(&database);
    json(&mut restore_legacy(&database, &[]), 0);
    let before = leftovers(&database);
    let child = signalled(&mut restore_legacy(&database, &["--finish"]), "watching the triggers for another");
    assert_eq!(child.status.code(), Some(3));
    assert_eq!(leftovers(&database), before);
    snapshot_text("finish_stopped", &database, &String::from_utf8(child.stdout).unwrap());
    goes_on_to_the_end(&database, &values);
}

/// It rests between two attempts at its locks, and would get them the next time.
#[test]
fn a_signal_before_the_columns_are_back() {
    let database = TestDatabase::postgres();
    let values = dropped(&database);
    let reader = Session::open(&database, "reports");
    reader.run("BEGIN; SELECT count(*) FROM projects_project");
    for format in ["text", "json"] {
        let mut restore = restore_legacy(&database, &["--attempts", "20", "--format", format]);
        let ended = signalled(&mut restore, "attempt 2 of 20: ");
        assert_eq!(ended.status.code(), Some(3));
        let name = format!("restore_not_begun_{format}");
        snapshot_text(&name, &database, &String::from_utf8(ended.stdout).unwrap());
        assert_eq!(leftovers(&database), 0);
    }
    reader.run("COMMIT");
    goes_on_to_the_end(&database, &values);
}

/// Runs a command, and sends SIGINT as soon as it says so.
fn signalled(command: &mut Command, says: &str) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with(says)));
    signal(&child, "INT");
    child.wait_with_output().unwrap()
}

#[test]
fn bad_arguments_and_databases() {
    for (name, arguments) in [
        ("restore_bad_chunk", &["--chunk", "0"][..]),
        ("restore_bad_chunk_text", &["--chunk", "many"]),
        ("restore_bad_both", &["--chunk", "2", "--finish"]),
        ("restore_bad_attempts", &["--attempts", "0"]),
        ("restore_bad_unreachable", &["--database-url", "postgres://u:s3cret@127.0.0.1:1/ocean"]),
        ("restore_bad_no_file", &["--database-url", "sqlite:/no/such/app.db"]),
    ] {
        snapshot(name, None, &mut sti_migrate(&[&["restore-legacy"], arguments].concat()), 2);
    }
    let empty = TestDatabase::sqlite();
    snapshot("restore_bad_empty", Some(&empty), &mut restore_legacy(&empty, &[]), 2);
    snapshot("finish_empty", Some(&empty), &mut restore_legacy(&empty, &["--finish"]), 1);
}

/// Who may read all tables may look, while a restore is under way and until it is finished.
#[test]
fn status_for_a_role_that_only_reads() {
    let database = TestDatabase::postgres();
    let values = dropped(&database);
    let url = database.application_role();
    database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC");
    let status = ["status", "--database-url", &url];
    json(&mut sti_migrate(&status), 0);
    stopped_half_way(&database);
    let shown = json(&mut sti_migrate(&status), 0);
    assert_eq!(
        (&shown["drops"][0]["state"], &shown["restore_triggers"]),
        (&"restoring".into(), &"all".into())
    );
    json(&mut restore_legacy(&database, &[]), 0);
    snapshot("status_restored_read_only", Some(&database), &mut sti_migrate(&status), 0);
    goes_on_to_the_end(&database, &values);
    json(&mut sti_migrate(&status), 0);
}

/// A restore that was killed behind its first chunk.
fn stopped_half_way(database: &TestDatabase) {
    let second = Held {
        table: "sti_drop_event",
        event: "BEFORE UPDATE",
        condition: "NEW.refilled_through > '00000000000000000000000000000002'",
        at_commit: false,
    };
    second.kill(database, "sti-migrate restore-legacy", || {
        let mut restore = restore_legacy(database, &["--chunk", "2"]);
        restore.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    });
}

/// A role that owns nothing may not bring columns back.
#[test]
fn a_role_without_rights() {
    let database = TestDatabase::postgres();
    dropped(&database);
    let url = database.application_role();
    database.grant_application(&["projects_project", "sti_drop_event", "sti_legacy_archive"]);
    let arguments = ["restore-legacy", "--database-url", &url];
    snapshot("restore_bad_no_rights", None, &mut sti_migrate(&arguments), 2);
    assert_eq!(leftovers(&database), 0);
}
