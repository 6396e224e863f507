//! `sti-migrate sync`.

use sti_core::test_support::{Session, TestDatabase};

use crate::drop_legacy::rig::{drop_legacy, json, ready};
use crate::restore_legacy::rig::{dropped, long_ago, restore_legacy};
use crate::rig::{on, snapshot, snapshot_formats, sti_migrate};

/// Our tables with a few projects, both sides level.
fn database() -> TestDatabase {
    let database = TestDatabase::postgres();
    ready(&database);
    database
}

#[test]
fn installed_shown_and_removed() {
    let database = database();
    let run = |name: &str, arguments: &[&str], exit| {
        snapshot(name, Some(&database), &mut on(&database, arguments), exit);
    };
    snapshot_formats("sync_status_none", &database, &["sync", "status"], 1);
    run("sync_installed", &["sync", "install"], 0);
    run("sync_installed_again", &["sync", "install"], 0);
    run("sync_status_in_place", &["sync", "status"], 0);
    run("sync_status_of_the_schema", &["status"], 0);
    run("sync_up", &["up"], 0);
    database.execute(
        "UPDATE projects_project SET course_name = 'by hand' WHERE project_type = 'school'; \
         DELETE FROM projects_project WHERE project_type = 'self_study'",
    );
    assert_eq!(database.count("projects_schoolproject WHERE course_name <> 'by hand'"), 0);
    assert_eq!(database.count("projects_selfstudyproject"), 0);
    database.execute(
        "ALTER TABLE projects_project DISABLE TRIGGER sti_sync_update; \
         DROP TRIGGER \"0_sti_sync_delete\" ON projects_project",
    );
    snapshot_formats("sync_status_in_part", &database, &["sync", "status"], 1);
    assert_eq!(json(&mut on(&database, &["status"]), 0)["sync_triggers"], "some");
    run("sync_mended", &["sync", "install", "--format", "markdown"], 0);
    run("sync_removed", &["sync", "remove"], 0);
    let again = json(&mut on(&database, &["sync", "remove"]), 0);
    assert_eq!(again["outcome"], "nothing");
}

#[test]
fn refused_before_the_schema_is_ready() {
    let empty = TestDatabase::postgres();
    snapshot("sync_refused_empty", Some(&empty), &mut on(&empty, &["sync", "install"]), 1);
    let django = TestDatabase::django_postgres();
    let refused = json(&mut on(&django, &["sync", "install"]), 1);
    assert_eq!(refused["outcome"], "refused");
    assert_eq!(refused["next"], serde_json::json!(["sti-migrate up", "sti-migrate sync install"]));
}

#[test]
fn refused_around_a_drop() {
    let database = TestDatabase::postgres();
    dropped(&database);
    snapshot("sync_refused_dropped", Some(&database), &mut on(&database, &["sync", "install"]), 1);
    snapshot_formats("sync_status_dropped", &database, &["sync", "status"], 1);
    json(&mut restore_legacy(&database, &[]), 0);
    snapshot_formats("sync_refused_restoring", &database, &["sync", "install"], 1);
    snapshot("sync_status_restoring", Some(&database), &mut on(&database, &["sync", "status"]), 1);
    long_ago(&database);
    json(&mut restore_legacy(&database, &["--finish"]), 0);
    assert_eq!(json(&mut on(&database, &["sync", "install"]), 0)["outcome"], "installed");
}

#[test]
fn the_drop_and_a_back_out_tell_of_them() {
    let database = database();
    json(&mut on(&database, &["sync", "install"]), 0);
    snapshot("sync_back_out", Some(&database), &mut on(&database, &["back-out"]), 1);
    let shown = drop_legacy(&database, &[]).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains("the sync triggers go with the columns"));
    let plan = json(&mut drop_legacy(&database, &[]), 0);
    let gate = plan["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == "dependents").unwrap();
    assert_eq!(gate["verdict"], "pass");
    assert!(
        gate["evidence"][0].as_str().unwrap().starts_with("the sync triggers go with the columns"),
        "{gate}"
    );
    let execute = ["--execute", "--confirm", plan["digest"].as_str().unwrap()];
    json(&mut drop_legacy(&database, &execute), 0);
    assert_eq!(json(&mut on(&database, &["sync", "status"]), 1)["outcome"], "none");
}

#[test]
fn a_lock_that_is_not_to_be_had() {
    let database = database();
    let writer = Session::open(&database, "their job");
    writer.run("BEGIN; UPDATE projects_project SET name = 'held'");
    let mut install = on(&database, &["sync", "install", "--attempts", "2"]);
    snapshot("sync_locked", Some(&database), &mut install, 3);
}

#[test]
fn bad_arguments() {
    for (name, arguments) in [
        ("sync_bad_no_command", &["sync"][..]),
        ("sync_bad_command", &["sync", "uninstall"]),
        ("sync_bad_attempts", &["sync", "install", "--attempts", "0"]),
        (
            "sync_bad_unreachable",
            &["sync", "status", "--database-url", "postgres://u:s3cret@127.0.0.1:1/ocean"],
        ),
    ] {
        snapshot(name, None, &mut sti_migrate(arguments), 2);
    }
    let sqlite = TestDatabase::sqlite();
    for (name, command) in
        [("sync_sqlite", "install"), ("sync_sqlite_status", "status"), ("sync_sqlite_remove", "remove")]
    {
        snapshot(name, Some(&sqlite), &mut on(&sqlite, &["sync", command]), 2);
    }
    let database = database();
    let url = database.application_role();
    let mut install = sti_migrate(&["sync", "install", "--database-url", &url]);
    snapshot("sync_no_rights", Some(&database), &mut install, 2);
}
