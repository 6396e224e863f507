//! Repairing: the plan, its refusals, and what was done.

use sti_core::test_support::{TestDatabase, documented_role};

use crate::rig::{json, migrate, run_on, settings, shown, sti_verify};

sti_core::both_backends! { nothing_to_repair }
sti_core::both_backends! { django: from_legacy, from_subtype, a_pointer_refuses }

/// The plan's digest, and settings in which it is not shown: it names the database.
#[track_caller]
fn planned(database: &TestDatabase, from: &str) -> (String, insta::Settings) {
    let plan = json(&run_on(database, &["--repair", "--from", from, "--format", "json"]), 0);
    let digest = plan["digest"].as_str().unwrap().to_owned();
    let mut settings = settings(Some(database));
    settings.add_filter(&digest, "[digest]");
    (digest, settings)
}

fn nothing_to_repair(database: &TestDatabase) {
    migrate(database);
    let (digest, settings) = planned(database, "legacy");
    settings.bind(|| {
        insta::assert_snapshot!("nothing", shown(&run_on(database, &["--repair", "--from", "legacy"])));
        let done = run_on(database, &["--repair", "--from", "legacy", "--execute", "--confirm", &digest]);
        insta::assert_snapshot!("nothing_done", shown(&done));
    });
}

fn from_legacy(database: &TestDatabase) {
    migrate(database);
    let before = database.digest("projects_schoolproject", "project_id", &["course_name"]).to_string();
    let (digest, settings) = planned(database, "legacy");
    let execute = |digest: &str| {
        run_on(database, &["--repair", "--from", "legacy", "--sample", "0", "--execute", "--confirm", digest])
    };
    settings.bind(|| {
        let plan = run_on(database, &["--repair", "--from", "legacy", "--sample", "1"]);
        insta::assert_snapshot!("legacy_plan", shown(&plan));
        insta::assert_snapshot!("another_plan", shown(&execute("0123456789ab")));
        assert_eq!(
            database.digest("projects_schoolproject", "project_id", &["course_name"]).to_string(),
            before
        );
        assert_eq!(database.count("sti_repair_log"), 0);
        insta::assert_snapshot!("legacy_done", shown(&execute(&digest)));
    });
    // What was confirmed is done: the same digest confirms nothing more.
    assert_eq!(execute(&digest).status.code(), Some(1));
    let after = json(&run_on(database, &["--format", "json"]), 1);
    for class in ["wrong_kind", "both_kinds", "drift"] {
        assert_eq!(after["findings"][class]["total"], 0, "{class}");
    }
}

fn from_subtype(database: &TestDatabase) {
    migrate(database);
    let (digest, settings) = planned(database, "subtype");
    settings.bind(|| {
        let plan =
            run_on(database, &["--repair", "--from", "subtype", "--sample", "1", "--format", "markdown"]);
        insta::assert_snapshot!("subtype_plan_markdown", shown(&plan));
        let arguments = ["--repair", "--from", "subtype", "--sample", "0", "--format", "json", "--execute"];
        let done = run_on(database, &[&arguments[..], &["--confirm", &digest]].concat());
        insta::assert_json_snapshot!("subtype_done_json", json(&done, 0));
    });
}

/// Another project's pointer at a row that would go: nothing is done, and the project is named.
fn a_pointer_refuses(database: &TestDatabase) {
    migrate(database);
    database.execute(
        "UPDATE projects_project SET self_study_project_id = \
            (SELECT r.project_id FROM projects_selfstudyproject r JOIN projects_project p ON p.id = r.project_id \
             WHERE p.project_type = 'school' ORDER BY r.project_id LIMIT 1) \
         WHERE id = (SELECT id FROM projects_project WHERE project_type = '' ORDER BY id LIMIT 1)",
    );
    let plan = run_on(database, &["--repair", "--from", "legacy", "--sample", "0", "--format", "json"]);
    let digest = json(&plan, 1)["digest"].as_str().unwrap().to_owned();
    settings(Some(database)).bind(|| {
        let plan = run_on(database, &["--repair", "--from", "legacy", "--sample", "0"]);
        insta::assert_snapshot!("pointers", shown(&plan));
        let arguments = ["--repair", "--from", "legacy", "--sample", "0", "--execute", "--confirm", &digest];
        insta::assert_snapshot!("pointers_refused", shown(&run_on(database, &arguments)));
    });
    assert_eq!(database.count("sti_repair_log"), 0);
}

/// The rights that docs/sti_rollout.md names: to look, and to repair.
#[test]
fn the_documented_grants_are_enough() {
    for reading in [true, false] {
        let database = TestDatabase::django_postgres();
        migrate(&database);
        let url = documented_role(&database, reading);
        let run = |arguments: &[&str]| sti_verify(arguments).args(["--database-url", &url]).output().unwrap();
        json(&run(&["--format", "json"]), 1);
        if !reading {
            let repair = ["--repair", "--from", "legacy", "--format", "json"];
            let digest = json(&run(&repair), 0)["digest"].as_str().unwrap().to_owned();
            json(&run(&[&repair[..], &["--execute", "--confirm", &digest]].concat()), 0);
            assert!(database.count("sti_repair_log") > 0);
        }
    }
}
