//! The rights that docs/sti_rollout.md names are enough, for a role that owns nothing.

use std::process::Output;

use sti_core::test_support::{TestDatabase, documented_role};

use crate::rig::{migrate, shown, sti};
use crate::status::a_run_is_left;

fn on(url: &str, arguments: &[&str]) -> Output {
    sti(arguments).args(["--database-url", url]).env("ENABLE_STI", "true").output().unwrap()
}

#[track_caller]
fn ends(url: &str, arguments: &[&str], exit: i32) {
    let output = on(url, arguments);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", shown(&output));
}

#[test]
fn the_documented_grants_are_enough_to_write() {
    let database = TestDatabase::django_postgres();
    migrate(&database);
    let url = documented_role(&database, false);
    database.execute(
        "ALTER TABLE projects_schoolproject ADD CONSTRAINT none_with_x CHECK (course_name NOT LIKE '%x%') NOT VALID",
    );
    ends(&url, &["pause", "--reason", "look"], 0);
    ends(&url, &["resume"], 0);
    // There are conflicts, and projects in quarantine.
    ends(&url, &["backfill", "--workers", "2", "--max-error-rate", "100"], 1);
    ends(&url, &["quarantine", "list"], 1);
    ends(&url, &["quarantine", "retry"], 1);
    database.execute("ALTER TABLE projects_schoolproject DROP CONSTRAINT none_with_x");
    ends(&url, &["quarantine", "retry"], 0);
    ends(&url, &["quarantine", "list"], 0);
    ends(&url, &["backfill", "--restart", "--include-drafts"], 1);
    a_run_is_left(&database);
    ends(&url, &["cancel", "--reason", "enough"], 0);
}

#[test]
fn to_select_is_enough_to_look() {
    let database = TestDatabase::django_postgres();
    migrate(&database);
    let url = documented_role(&database, true);
    for arguments in
        [&["counts"][..], &["status"], &["runs"], &["quarantine", "list"], &["backfill", "--dry-run"]]
    {
        ends(&url, arguments, 0);
    }
}
