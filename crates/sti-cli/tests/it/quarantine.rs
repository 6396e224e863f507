//! `sti quarantine` as its user sees it.

use sti_core::test_support::TestDatabase;

use crate::rig::{json, migrate, settings, shown, sti_on};

#[test]
fn a_refused_project_is_listed_and_made_later() {
    let database = TestDatabase::postgres();
    migrate(&database);
    database.execute(
        "INSERT INTO projects_project (id, name, project_type, course_name, is_draft, created_at, updated_at, owner_id) \
         SELECT ('00000000-0000-0000-0000-0000000000' || n)::uuid, 'p', 'school', 'course ' || n, false, \
            '2026-01-02 03:04:05', '2026-01-02 03:04:05', 1 FROM generate_series(10, 19) n; \
         ALTER TABLE projects_schoolproject ADD CONSTRAINT no_course_13 CHECK (course_name NOT LIKE '%13')",
    );
    let run = |arguments: &[&str]| shown(&sti_on(&database, arguments).output().unwrap());
    settings(Some(&database)).bind(|| {
        insta::assert_snapshot!("quarantine_empty", run(&["quarantine", "list"]));
        insta::assert_snapshot!("quarantine_backfill", run(&["backfill"]));
        insta::assert_snapshot!("quarantine_list", run(&["quarantine", "list"]));
        insta::assert_snapshot!(
            "quarantine_list_markdown",
            run(&["quarantine", "list", "--format", "markdown"])
        );
        let mut list =
            json(&sti_on(&database, &["quarantine", "list", "--format", "json"]).output().unwrap(), 1);
        list["projects"][0]["at"] = "[moment]".into();
        insta::assert_json_snapshot!("quarantine_list_json", list);
        insta::assert_snapshot!("quarantine_still_refused", run(&["quarantine", "retry"]));
        let without_flag =
            sti_on(&database, &["quarantine", "retry"]).env("ENABLE_STI", "false").output().unwrap();
        assert_eq!(without_flag.status.code(), Some(1));
        assert!(
            shown(&without_flag).contains("ENABLE_STI=true sti quarantine retry"),
            "{}",
            shown(&without_flag)
        );
        // A mistyped id is no success.
        let mistyped = ["quarantine", "retry", "--project", "00000000-0000-0000-0000-000000000031"];
        insta::assert_snapshot!("quarantine_not_in_it", run(&mistyped));
        let in_json = sti_on(&database, &mistyped).args(["--format", "json"]).output().unwrap();
        assert_eq!(json(&in_json, 1)["not_in_quarantine"], true);
        database.execute("ALTER TABLE projects_schoolproject DROP CONSTRAINT no_course_13");
        let mut retry = sti_on(&database, &["quarantine", "retry", "--allow-flag-off", "--format", "json"]);
        let retried = retry.env("ENABLE_STI", "0").output().unwrap();
        insta::assert_json_snapshot!("quarantine_retry_json", json(&retried, 0));
        let one = ["quarantine", "retry", "--project", "00000000-0000-0000-0000-000000000013"];
        assert_eq!(sti_on(&database, &one).output().unwrap().status.code(), Some(1), "it has left before");
        insta::assert_snapshot!("quarantine_nothing_left", run(&["quarantine", "retry"]));
    });
    assert_eq!(database.count("projects_schoolproject"), 10);
}
