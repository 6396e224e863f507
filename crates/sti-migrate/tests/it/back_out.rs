//! `sti-migrate back-out`.

use sti_core::both_backends;
use sti_core::test_support::TestDatabase;

use crate::drop_legacy::rig::{json, legacy, ready};
use crate::restore_legacy::rig::{dropped, restore_legacy};
use crate::rig::{named, on, snapshot, sti_migrate};

both_backends! { planned_refused_and_done, refused_around_a_drop }

fn planned_refused_and_done(database: &TestDatabase) {
    ready(database);
    let values = legacy(database);
    let back_out = || on(database, &["back-out"]);
    database.execute(
        "UPDATE projects_schoolproject SET teacher_name = 'only here' WHERE course_name = 'Reefs'; \
         INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, tool_version, \
             started_by) VALUES ('active', false, 1, 3, '2026-01-02 03:04:05', 'test', 'host:1')",
    );
    snapshot("back_out_refused", Some(database), &mut back_out(), 1);
    let json_name = named("back_out_refused_json", database);
    snapshot(&json_name, Some(database), back_out().args(["--format", "json"]), 1);
    database.execute("UPDATE projects_schoolproject SET teacher_name = '' WHERE course_name = 'Reefs'");
    snapshot("back_out_plan", Some(database), &mut back_out(), 0);
    let plan = json(&mut back_out(), 0);
    let digest = plan["digest"].as_str().unwrap();
    let other = ["back-out", "--execute", "--confirm", "0123456789ab"];
    snapshot("back_out_another_plan", Some(database), &mut on(database, &other), 1);
    let execute = ["back-out", "--execute", "--confirm", digest];
    snapshot("back_out_done", Some(database), &mut on(database, &execute), 0);
    assert_eq!(legacy(database), values);
    assert_eq!(database.count("projects_schoolproject") + database.count("projects_selfstudyproject"), 0);
    let nothing = json(&mut back_out(), 0);
    assert_eq!(nothing["rows_before"]["school"], 0);
}

fn refused_around_a_drop(database: &TestDatabase) {
    let values = dropped(database);
    snapshot("back_out_dropped", Some(database), &mut on(database, &["back-out"]), 1);
    json(&mut restore_legacy(database, &[]), 0);
    snapshot("back_out_restoring", Some(database), &mut on(database, &["back-out"]), 1);
    json(&mut restore_legacy(database, &["--finish"]), 0);
    let plan = json(&mut on(database, &["back-out"]), 0);
    let execute = ["back-out", "--execute", "--confirm", plan["digest"].as_str().unwrap()];
    let done = json(&mut on(database, &execute), 0);
    assert_eq!((&done["outcome"], &done["deleted"]["school"]), (&"done".into(), &2.into()));
    assert_eq!(legacy(database), values);
}

#[test]
fn bad_arguments() {
    for (name, arguments) in [
        ("back_out_bad_no_confirm", &["--execute"][..]),
        ("back_out_bad_no_execute", &["--confirm", "0123456789ab"]),
        ("back_out_bad_digest", &["--execute", "--confirm", "no"]),
        ("back_out_bad_unreachable", &["--database-url", "postgres://u:s3cret@127.0.0.1:1/ocean"]),
    ] {
        snapshot(name, None, &mut sti_migrate(&[&["back-out"], arguments].concat()), 2);
    }
    let empty = TestDatabase::sqlite();
    snapshot("back_out_bad_empty", Some(&empty), &mut on(&empty, &["back-out"]), 2);
}
