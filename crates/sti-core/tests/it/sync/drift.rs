//! Rows that do not agree with the legacy columns when the triggers come: they are what users see in subtype mode.

use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::{Session, TestDatabase};

use super::rig::{assert_level, both_schemas, insert_sql, only, ours, rows, run, save_sql, try_run};
use crate::repository::rig::{id, texts};

both_schemas! {
    a_write_overwrites_only_what_it_changes,
    what_is_overwritten_is_kept,
    a_row_that_goes_with_its_type_is_kept,
    what_a_legacy_column_says_is_not_kept_twice,
    a_row_that_goes_with_its_project_is_not_kept,
}

/// The before-images, the oldest first.
fn kept(database: &TestDatabase) -> Vec<String> {
    let lines = database.column(
        "concat(table_name, ' ', action, ' ', before_image)",
        "FROM sti_repair_log WHERE digest = 'sync' AND direction = 'legacy' ORDER BY id",
    );
    lines.into_iter().flatten().map(|line| line.replace(&id(1).to_string(), "[id]")).collect()
}

fn drifted(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), Some("b"), None, None, None]));
    database.execute(&format!(
        "UPDATE projects_schoolproject SET course_code = 'seen', teacher_name = 'seen' WHERE project_id = '{}'",
        id(1)
    ));
}

fn a_write_overwrites_only_what_it_changes(database: &TestDatabase) {
    drifted(database);
    run(database, &save_sql(1, "school", [Some("A"), Some("b"), Some(""), None, None]));
    assert_eq!(only(database, School, 1), texts(&["A", "seen", "seen"]));
    assert_eq!(kept(database), Vec::<String>::new());
}

fn what_is_overwritten_is_kept(database: &TestDatabase) {
    drifted(database);
    run(database, &save_sql(1, "school", [Some("a"), Some("B"), None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["a", "B", "seen"]));
    let image =
        r#"{"project_id" : "[id]", "course_name" : "a", "course_code" : "seen", "teacher_name" : "seen"}"#;
    assert_eq!(kept(database), [format!("projects_schoolproject update_row {image}")]);
}

fn a_row_that_goes_with_its_type_is_kept(database: &TestDatabase) {
    drifted(database);
    database.execute(&format!("INSERT INTO projects_selfstudyproject VALUES ('{}', 'left', '')", id(1)));
    run(database, &save_sql(1, "self_study", [None, None, None, Some("goal"), None]));
    assert_eq!(only(database, SelfStudy, 1), texts(&["goal", ""]));
    let school =
        r#"{"project_id" : "[id]", "course_name" : "a", "course_code" : "seen", "teacher_name" : "seen"}"#;
    let self_study = r#"{"project_id" : "[id]", "goal_description" : "left", "study_frequency" : ""}"#;
    assert_eq!(
        kept(database),
        [
            format!("projects_schoolproject delete_row {school}"),
            format!("projects_selfstudyproject update_row {self_study}")
        ]
    );
    assert_level(database);
}

fn what_a_legacy_column_says_is_not_kept_twice(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), Some("b"), None, Some("c"), None]));
    run(database, &save_sql(1, "school", [Some("A"), None, None, Some("c"), None]));
    run(database, &save_sql(1, "self_study", [None, None, None, Some("C"), None]));
    run(database, &save_sql(1, "school", [Some("x"), None, None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["x", "", ""]));
    assert_eq!(kept(database), Vec::<String>::new());
}

/// Whoever deletes the project has asked for it; so it is written in docs/sti_rollout.md.
fn a_row_that_goes_with_its_project_is_not_kept(database: &TestDatabase) {
    drifted(database);
    run(database, &format!("DELETE FROM projects_project WHERE id = '{}'", id(1)));
    assert_eq!(rows(database, 1), [None, None]);
    assert_eq!(kept(database), Vec::<String>::new());
}

/// A transaction that looks at an old snapshot does not see the row that a backfill has made since. It must fail rather
/// than pass over it.
#[test]
fn a_frozen_snapshot_does_not_leave_a_row_behind() {
    for (write, expected) in [
        (save_sql(1, "self_study", [None; 5]), "could not serialize access"),
        (save_sql(1, "school", [Some("new"), None, None, None, None]), "could not serialize access"),
        (format!("DELETE FROM projects_project WHERE id = '{}'", id(1)), "violates foreign key constraint"),
    ] {
        for level in ["REPEATABLE READ", "SERIALIZABLE"] {
            let database = ours();
            run(&database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
            database.execute("DELETE FROM projects_schoolproject");
            let writer = Session::open(&database, "writer");
            writer
                .run(&format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM projects_schoolproject"));
            database
                .execute(&format!("INSERT INTO projects_schoolproject VALUES ('{}', 'a', '', '')", id(1)));
            writer.start(&format!("{write}; COMMIT"));
            let error = writer.finish().unwrap_err();
            assert!(error.contains(expected), "{level}: {error}");
            assert_eq!(rows(&database, 1)[0], Some(texts(&["a", "", ""])));
        }
        // The same write when it looks afresh.
        let database = ours();
        run(&database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
        try_run(&database, &format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {write}; COMMIT")).unwrap();
        assert_level(&database);
    }
}
