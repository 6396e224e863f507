//! Every state that the command can report, as it is printed.

use std::process::Stdio;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use sti_core::both_backends;
use sti_core::test_support::{Session, TestDatabase};

use super::rig::{ARCHIVING, DROP, archived, digest, drop_legacy, json, legacy, ready, state};
use crate::held::Gate;
use crate::rig::{named, on, snapshot, snapshot_formats, tables};

both_backends! {
    without_our_migrations_only_the_schema_is_looked_at, shut_gates_are_refused_with_what_mends_them,
    an_open_plan_names_the_next_step, a_rehearsal_changes_nothing, another_digest_is_refused,
    a_waiver_that_was_outgrown_is_refused,
    what_holds_a_lock_is_named, a_drop_and_the_same_command_again,
}
both_backends! { django: what_keeps_the_columns_of_django_is_all_named }

fn without_our_migrations_only_the_schema_is_looked_at(database: &TestDatabase) {
    snapshot("drop_empty", Some(database), &mut on(database, &["drop-legacy"]), 1);
    assert_eq!(tables(database), [], "nothing is made");
}

fn shut_gates_are_refused_with_what_mends_them(database: &TestDatabase) {
    ready(database);
    snapshot(&named("drop_to_waive", database), Some(database), &mut on(database, &["drop-legacy"]), 1);
    database.execute(
        "DELETE FROM projects_selfstudyproject; \
         UPDATE projects_schoolproject SET teacher_name = 'somebody else'; \
         INSERT INTO projects_selfstudyproject (project_id, goal_description, study_frequency) \
         SELECT project_id, '', '' FROM projects_schoolproject; \
         CREATE VIEW reports AS SELECT id, course_name FROM projects_project; \
         INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, sweep, eligible, started_at, \
             tool_version, started_by) \
         VALUES ('active', false, 1, 1, 5, '2026-01-02 03:04:05', '0.1.0', 'host:1'); \
         INSERT INTO sti_drop_event (dropped_at, tool_version, restored_at) \
         VALUES ('2026-01-02 03:04:05', '0.1.0', '2026-01-03 03:04:05')",
    );
    let before = state(database);
    for format in ["text", "markdown", "json"] {
        let name = named(&format!("drop_refused_{format}"), database);
        snapshot(&name, Some(database), &mut on(database, &["drop-legacy", "--format", format]), 1);
    }
    for how in [&["--rehearse"][..], &["--execute", "--confirm", "0123456789ab"]] {
        let refused = json(&mut drop_legacy(database, how), 1);
        assert_eq!((&refused["outcome"], &refused["refused_because"]), (&"refused".into(), &"gates".into()));
    }
    assert_eq!(state(database), before);
}

/// SQLite reads every view before it drops a column, those of other tables too.
#[test]
fn a_broken_view_is_told_by_the_plan() {
    let database = TestDatabase::sqlite();
    ready(&database);
    database.execute("CREATE VIEW old_report AS SELECT * FROM nothing_there");
    let before = state(&database);
    snapshot("drop_broken_view", Some(&database), &mut drop_legacy(&database, &[]), 1);
    let refused = json(&mut drop_legacy(&database, &["--rehearse"]), 1);
    assert_eq!(refused["refused_because"], "gates");
    assert_eq!(state(&database), before);
    database.execute("DROP VIEW old_report");
    json(&mut drop_legacy(&database, &["--rehearse"]), 0);
}

fn what_keeps_the_columns_of_django_is_all_named(database: &TestDatabase) {
    assert_eq!(on(database, &["up"]).output().unwrap().status.code(), Some(0));
    let before = state(database);
    snapshot(&named("drop_django", database), Some(database), &mut on(database, &["drop-legacy"]), 1);
    assert_eq!(state(database), before);
}

fn an_open_plan_names_the_next_step(database: &TestDatabase) {
    ready(database);
    let before = state(database);
    let idle = (database.backend_name() == "postgres").then(|| Session::open(database, "web"));
    if let Some(idle) = &idle {
        idle.run("SELECT 1");
    }
    for format in ["text", "markdown", "json"] {
        let name = named(&format!("drop_shown_{format}"), database);
        snapshot(&name, Some(database), &mut drop_legacy(database, &["--format", format]), 0);
    }
    let other_limit = drop_legacy(database, &["--max-lock", "2500ms", "--format", "json"]).output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&other_limit.stdout).unwrap();
    assert_eq!(
        plan["next"],
        "sti-migrate drop-legacy --waive unknown-type=1 --waive stray-values=1 --max-lock 2500ms --rehearse"
    );
    assert_eq!(state(database), before);
}

fn a_rehearsal_changes_nothing(database: &TestDatabase) {
    ready(database);
    let before = state(database);
    snapshot(
        &named("drop_rehearsed", database),
        Some(database),
        &mut drop_legacy(database, &["--rehearse"]),
        0,
    );
    let rehearsed = json(&mut drop_legacy(database, &["--rehearse"]), 0);
    assert_eq!(rehearsed["outcome"], "rehearsed");
    assert_eq!(rehearsed["archived"], 5);
    assert_eq!(state(database), before);
    // The digest of a rehearsal is good for the drop.
    let confirm = ["--execute", "--confirm", rehearsed["digest"].as_str().unwrap()];
    assert_eq!(json(&mut drop_legacy(database, &confirm), 0)["outcome"], "done");
}

fn another_digest_is_refused(database: &TestDatabase) {
    ready(database);
    let before = state(database);
    let wrong = ["--execute", "--confirm", "0123456789ab"];
    snapshot(&named("drop_another", database), Some(database), &mut drop_legacy(database, &wrong), 1);
    let refused = json(&mut drop_legacy(database, &wrong), 1);
    assert_eq!(refused["refused_because"], "another_plan");
    assert_ne!(refused["digest"], "0123456789ab", "that of the plan of now");
    // The digest of a plan with other waivers is another one.
    let digest = digest(database);
    let others =
        ["--waive", "unknown-type=2", "--waive", "stray-values=1", "--execute", "--confirm", &digest];
    let refused = json(&mut on(database, &[&["drop-legacy"], &others[..]].concat()), 1);
    assert_eq!(refused["refused_because"], "another_plan");
    assert_eq!(state(database), before);
}

fn a_waiver_that_was_outgrown_is_refused(database: &TestDatabase) {
    ready(database);
    let digest = digest(database);
    database.execute("UPDATE projects_project SET goal_description = 'one more' WHERE name = 'project 1'");
    let before = state(database);
    let execute = ["--execute", "--confirm", &digest];
    snapshot(&named("drop_outgrown", database), Some(database), &mut drop_legacy(database, &execute), 1);
    assert_eq!(state(database), before);
}

/// Where writers go on, the lock is not estimated: it is given up.
#[test]
fn a_lock_that_lasts_too_long_is_given_up() {
    let database = &TestDatabase::postgres();
    ready(database);
    let digest = digest(database);
    let before = state(database);
    for how in [&["--rehearse"][..], &["--execute", "--confirm", &digest]] {
        let refused = json(&mut drop_legacy(database, &[&["--max-lock", "1ms"], how].concat()), 1);
        assert_eq!(refused["refused_because"], "lock_too_long", "{refused:#}");
        assert_eq!(state(database), before);
    }
}

#[test]
fn on_sqlite_a_lock_that_would_last_too_long_is_refused() {
    let database = &TestDatabase::sqlite();
    ready(database);
    for number in 0..200 {
        database.execute(&format!(
            "INSERT INTO projects_project (id, name, project_type, owner_id, is_draft, created_at, updated_at) \
             VALUES ('{:032}', '', 'school', 1, true, '2024-01-02 03:04:05', '2024-01-02 03:04:05')",
            1000 + number
        ));
    }
    let before = state(database);
    for how in [&[][..], &["--rehearse"], &["--execute", "--confirm", "0123456789ab"]] {
        let refused = json(&mut drop_legacy(database, &[&["--max-lock", "1ms"], how].concat()), 1);
        assert_eq!(refused["outcome"], "refused");
        let gates = refused["gates"].as_array().unwrap();
        let shut: Vec<&serde_json::Value> =
            gates.iter().filter(|gate| gate["verdict"] == "refused").collect();
        assert_eq!(shut.len(), 1, "{shut:?}");
        assert_eq!(shut[0]["name"], "lock-time");
        assert!(shut[0]["fix"].as_str().unwrap().contains("--max-lock"));
    }
    assert_eq!(state(database), before);
}

fn what_holds_a_lock_is_named(database: &TestDatabase) {
    ready(database);
    let digest = digest(database);
    let before = state(database);
    let attempts = ["--attempts", database.either("2", "1")];
    let rehearse = [&["--rehearse"], &attempts[..]].concat();
    let execute = [&["--execute", "--confirm", &digest], &attempts[..]].concat();
    let blocked = |name: &str, arguments: &[&str]| {
        snapshot(&named(name, database), Some(database), &mut drop_legacy(database, arguments), 1);
    };
    if database.backend_name() == "postgres" {
        let reader = Session::open(database, "reports");
        reader.run("BEGIN; SELECT count(*) FROM projects_project");
        blocked("drop_blocked_rehearsal", &rehearse);
        blocked("drop_blocked", &execute);
        let report = json(&mut drop_legacy(database, &execute), 1);
        assert_eq!(report["outcome"], "blocked");
        assert_eq!(report["holders"][0]["application"], "reports");
        reader.run("COMMIT");
    } else {
        let path = database.path().unwrap().to_str().unwrap();
        let mut writer = SqliteConnection::establish(path).unwrap();
        writer.batch_execute("BEGIN IMMEDIATE").unwrap();
        blocked("drop_blocked", &execute);
        writer.batch_execute("COMMIT").unwrap();
    }
    assert_eq!(state(database), before);
    assert_eq!(json(&mut drop_legacy(database, &execute), 0)["outcome"], "done");
}

/// It is told from a lock: nobody's transaction has to be ended.
#[test]
fn another_drop_is_waited_for() {
    let database = TestDatabase::postgres();
    ready(&database);
    let archiving = Gate::at(&database, "archiving", ARCHIVING);
    let mut first = drop_legacy(&database, &["--rehearse"]).stdout(Stdio::null()).spawn().unwrap();
    archiving.reached(DROP);
    let mut second = drop_legacy(&database, &["--rehearse", "--attempts", "1"]);
    snapshot("drop_blocked_by_another", Some(&database), &mut second, 1);
    archiving.open();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    archiving.remove();
}

fn a_drop_and_the_same_command_again(database: &TestDatabase) {
    ready(database);
    let digest = digest(database);
    let values = legacy(database);
    let execute = ["--execute", "--confirm", &digest];
    snapshot(&named("drop_done", database), Some(database), &mut drop_legacy(database, &execute), 0);
    assert_eq!(archived(database), values);
    let dropped = state(database);
    assert!(dropped.contains(&"legacy columns: 0".to_owned()));
    assert!(dropped.contains(&"sti_drop_permit: 0 rows".to_owned()));
    snapshot_formats("drop_again", database, &[&["drop-legacy"], &execute[..]].concat(), 0);
    let other = ["drop-legacy", "--execute", "--confirm", "0123456789ab"];
    snapshot("drop_twice", Some(database), &mut on(database, &other), 2);
    snapshot("drop_gone", Some(database), &mut on(database, &["drop-legacy"]), 2);
    assert_eq!(state(database), dropped);
}
