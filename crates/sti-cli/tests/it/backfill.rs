//! `sti backfill` as its user sees it.

use std::process::Stdio;

use sti_core::test_support::TestDatabase;

use crate::rig::{json, migrate, settings, shown, sti, sti_on};

sti_core::both_backends! { django:
    a_first_session, a_live_run_is_refused_when_the_flag_is_off, reports_in_markdown_and_json,
    after_the_drop_the_flag_is_not_what_is_missing,
    a_stopped_run_exits_with_3_and_is_resumed
}

fn a_first_session(database: &TestDatabase) {
    migrate(database);
    settings(Some(database)).bind(|| {
        let dry = sti_on(database, &["backfill", "--chunk", "4000", "--dry-run"]).output().unwrap();
        insta::assert_snapshot!("backfill_dry_run", shown(&dry));
        let live = sti_on(database, &["backfill", "--chunk", "4000", "--verbose"]).output().unwrap();
        insta::assert_snapshot!("backfill_live", shown(&live));
        let drafts = ["backfill", "--chunk", "20000", "--include-drafts", "--verbose"];
        insta::assert_snapshot!("backfill_drafts", shown(&sti_on(database, &drafts).output().unwrap()));
    });
}

fn a_live_run_is_refused_when_the_flag_is_off(database: &TestDatabase) {
    migrate(database);
    for value in [None, Some("false"), Some("OFF"), Some("0")] {
        let mut command = sti(&["backfill", "--database-url", database.url()]);
        if let Some(value) = value {
            command.env("ENABLE_STI", value);
        }
        let output = command.output().unwrap();
        settings(Some(database))
            .bind(|| insta::assert_snapshot!("backfill_refused_flag_off", shown(&output)));
    }
    assert_eq!(database.count("sti_backfill_run"), 0);
    assert_eq!(database.count("projects_schoolproject"), 60, "as the fixture has them");

    let bad = sti(&["backfill", "--database-url", database.url()]).env("ENABLE_STI", "yes").output().unwrap();
    settings(Some(database)).bind(|| insta::assert_snapshot!("backfill_bad_flag", shown(&bad)));

    let mut dry = sti(&["backfill", "--dry-run", "--database-url", database.url()]);
    assert_eq!(dry.output().unwrap().status.code(), Some(0), "a dry run runs in any mode");

    let mut allowed = sti(&["backfill", "--allow-flag-off", "--database-url", database.url()]);
    let allowed = allowed.output().unwrap();
    assert_eq!(allowed.status.code(), Some(1), "the fixture has conflicts: {}", shown(&allowed));
    assert!(shown(&allowed).contains("warning: ENABLE_STI is off"));
}

/// After the drop no setting of the flag helps, so nobody is told to set it.
fn after_the_drop_the_flag_is_not_what_is_missing(database: &TestDatabase) {
    migrate(database);
    let drop = ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"]
        .map(|column| format!("ALTER TABLE projects_project DROP COLUMN {column};"));
    database.execute(&drop.concat());
    for arguments in [&["backfill"][..], &["quarantine", "retry"]] {
        let output = sti(&[arguments, &["--database-url", database.url()]].concat()).output().unwrap();
        let said = shown(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("the legacy columns of projects_project are not there"), "{said}");
        assert!(!said.contains("ENABLE_STI"), "{said}");
    }
}

fn reports_in_markdown_and_json(database: &TestDatabase) {
    migrate(database);
    settings(Some(database)).bind(|| {
        let dry = sti_on(database, &["backfill", "--dry-run", "--format", "markdown"]).output().unwrap();
        insta::assert_snapshot!("backfill_dry_run_markdown", shown(&dry));
        let live = json(&sti_on(database, &["backfill", "--format", "json"]).output().unwrap(), 1);
        insta::assert_json_snapshot!("backfill_live_json", live);
    });
}

fn a_stopped_run_exits_with_3_and_is_resumed(database: &TestDatabase) {
    use std::io::{BufRead as _, BufReader};
    migrate(database);
    let mut command = sti_on(database, &["backfill", "--chunk", "20", "--verbose", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("chunk 3:")));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    lines.for_each(drop);
    let stopped = json(&child.wait_with_output().unwrap(), 3);
    assert_eq!(stopped["ending"], "stopped");
    let resumed = json(&sti_on(database, &["backfill", "--format", "json"]).output().unwrap(), 1);
    assert_eq!(resumed["resumed"], true);
    assert_eq!(resumed["totals"]["locked"], 8949);
}
