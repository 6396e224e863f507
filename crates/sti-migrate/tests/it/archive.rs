//! `sti-migrate archive`.

use sti_core::both_backends;
use sti_core::test_support::TestDatabase;

use crate::drop_legacy::rig::{json, legacy};
use crate::restore_legacy::rig::{drop_again, dropped, long_ago, restore_legacy};
use crate::rig::{named, on, snapshot, snapshot_formats, sti_migrate};

both_backends! { from_the_drop_to_the_purge, beside_a_later_drop }

fn from_the_drop_to_the_purge(database: &TestDatabase) {
    let plan = |name: &str, exit: i32| {
        snapshot(name, Some(database), &mut on(database, &["archive", "purge", "--event", "1"]), exit);
    };
    snapshot("archive_list_empty", Some(database), &mut on(database, &["archive", "list"]), 0);
    let values = dropped(database);
    let confirm = |exit: i32| {
        let plan = on(database, &["archive", "purge", "--event", "1", "--format", "json"]).output().unwrap();
        let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
        let digest = plan["digest"].as_str().unwrap();
        json(&mut on(database, &["archive", "purge", "--event", "1", "--confirm", digest]), exit)
    };
    plan("purge_not_restored", 1);
    assert_eq!(confirm(1)["refused_because"], "not_restored");
    assert_eq!(database.count("sti_legacy_archive"), 5);
    json(&mut restore_legacy(database, &[]), 0);
    plan("purge_not_finished", 1);
    long_ago(database);
    json(&mut restore_legacy(database, &["--finish"]), 0);
    snapshot_formats("archive_list", database, &["archive", "list"], 0);
    database.execute(
        "UPDATE projects_project SET course_name = 'changed' WHERE project_type = 'SCHOOL'; \
         DELETE FROM projects_selfstudyproject; DELETE FROM projects_project WHERE project_type = 'self_study'",
    );
    plan("purge_plan", 0);
    snapshot(
        &named("purge_plan_json", database),
        Some(database),
        &mut on(database, &["archive", "purge", "--event", "1", "--format", "json"]),
        0,
    );
    let other = ["archive", "purge", "--event", "1", "--confirm", "0123456789ab"];
    snapshot("purge_another_plan", Some(database), &mut on(database, &other), 1);
    assert_eq!(confirm(0)["deleted"], 5);
    assert_eq!(database.count("sti_legacy_archive"), 0);
    plan("purge_nothing_left", 0);
    assert_ne!(legacy(database), values);
}

/// The drop that is named is the one whose restore is open, and an archive that has the same values is not denied.
fn beside_a_later_drop(database: &TestDatabase) {
    dropped(database);
    json(&mut restore_legacy(database, &[]), 0);
    json(&mut restore_legacy(database, &["--finish"]), 0);
    drop_again(database);
    json(&mut restore_legacy(database, &[]), 0);
    let plan = |name: &str, exit: i32| {
        snapshot(name, Some(database), &mut on(database, &["archive", "purge", "--event", "1"]), exit);
    };
    plan("purge_later_not_finished", 1);
    json(&mut restore_legacy(database, &["--finish"]), 0);
    database.execute("UPDATE projects_project SET course_name = 'changed' WHERE project_type = 'SCHOOL'");
    plan("purge_plan_beside_another", 0);
}

#[test]
fn bad_arguments() {
    for (name, arguments) in [
        ("purge_bad_no_event", &["purge"][..]),
        ("purge_bad_event", &["purge", "--event", "first"]),
        ("purge_bad_digest", &["purge", "--event", "1", "--confirm", "yes"]),
        ("archive_bad_command", &["empty"]),
        ("archive_bad_unreachable", &["list", "--database-url", "postgres://u:s3cret@127.0.0.1:1/ocean"]),
    ] {
        snapshot(name, None, &mut sti_migrate(&[&["archive"], arguments].concat()), 2);
    }
    let empty = TestDatabase::sqlite();
    snapshot("purge_bad_no_such", Some(&empty), &mut on(&empty, &["archive", "purge", "--event", "7"]), 2);
}
