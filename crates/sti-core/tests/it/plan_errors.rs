//! Where the rollout plan is wrong. Each test carries out the plan's own check or loop in plain SQL, shows that it is
//! content, or loses something, and that ours is not and does not. The numbers are those of docs/architecture.md.
//!
//! Error 8 (a flag that is off turns a live run into a dry run) is a matter of the command:
//! `a_live_run_is_refused_when_the_flag_is_off` in the tests of `sti`. Error 6 is one of monitoring.

mod drop;

use sti_core::backfill::{Ending, Scope};
use sti_core::test_support::TestDatabase;
use sti_core::verify::{Class, VerifyOptions, VerifyReport, verify};

use crate::backfill::rig::{config, id, insert_project, migrate, open, run};

sti_core::both_backends! {
    error_1_the_guard_counts,
    error_2_drafts_are_forgotten,
    error_3_existence_is_compared_and_not_values,
    error_4_stray_values_are_copied_nowhere,
    error_7_offset_over_a_shrinking_set_skips_rows,
}

/// The plan's `check_sti_coverage`: it raises when there are fewer subtype rows than published projects.
fn plans_guard_passes(database: &TestDatabase) -> bool {
    let total = database.count("projects_project WHERE NOT is_draft");
    let rows = database.count("projects_schoolproject") + database.count("projects_selfstudyproject");
    rows >= total
}

/// The plan's integrity loop: published projects of a known type without the related row.
fn plans_integrity_issues(database: &TestDatabase) -> i64 {
    database.count(
        "projects_project p WHERE NOT is_draft AND (\
         (project_type = 'school' AND NOT EXISTS (SELECT 1 FROM projects_schoolproject c WHERE c.project_id = p.id)) \
         OR (project_type = 'self_study' \
             AND NOT EXISTS (SELECT 1 FROM projects_selfstudyproject c WHERE c.project_id = p.id)))",
    )
}

fn ours(database: &TestDatabase) -> VerifyReport {
    verify(&mut open(database), VerifyOptions { sample: 3, ..VerifyOptions::default() }).unwrap()
}

fn school_row(database: &TestDatabase, number: u32, course: &str) {
    let values = format!("('{}', '{course}', 'code {number}', '')", id(number));
    database.execute(&format!("INSERT INTO projects_schoolproject VALUES {values}"));
}

fn self_study_row(database: &TestDatabase, number: u32) {
    database.execute(&format!("INSERT INTO projects_selfstudyproject VALUES ('{}', 'x', '')", id(number)));
}

/// Three published projects, two of them without their row: rows of a draft and of the wrong kind make up the number.
fn error_1_the_guard_counts(database: &TestDatabase) {
    migrate(database);
    for number in 1..=3 {
        insert_project(database, number, "school", false);
    }
    insert_project(database, 4, "school", true);
    school_row(database, 1, "course 1");
    self_study_row(database, 1);
    school_row(database, 4, "course 4");
    assert!(plans_guard_passes(database), "the plan would drop the columns now");

    let report = ours(database);
    assert!(!report.is_clean());
    assert_eq!(report.count(Class::Missing), 2);
    assert_eq!(report.count(Class::BothKinds), 1);
    assert_eq!(report.counts.coverage_of_known(false).part, 1);
}

/// Everything published is there; a draft's only copy is in the legacy columns.
fn error_2_drafts_are_forgotten(database: &TestDatabase) {
    migrate(database);
    insert_project(database, 1, "school", false);
    insert_project(database, 2, "self_study", true);
    school_row(database, 1, "course 1");
    assert!(plans_guard_passes(database));
    assert_eq!(plans_integrity_issues(database), 0);

    let report = ours(database);
    assert!(!report.is_clean());
    assert_eq!(report.counts.coverage_of_known(true).part, 0);
    assert_eq!(report.counts.coverage_of_known(true).whole, 1);

    run(database, &config(10, Scope::NonDraft)).unwrap();
    assert!(!ours(database).is_clean(), "the plan's backfill leaves it there");
    run(database, &config(10, Scope::All)).unwrap();
    assert!(ours(database).is_clean());
}

/// Each project has its row, and one holds another value.
fn error_3_existence_is_compared_and_not_values(database: &TestDatabase) {
    migrate(database);
    insert_project(database, 1, "school", false);
    insert_project(database, 2, "school", false);
    school_row(database, 1, "course 1");
    school_row(database, 2, "an older course");
    assert!(plans_guard_passes(database));
    assert_eq!(plans_integrity_issues(database), 0);

    let report = ours(database);
    assert!(!report.is_clean());
    assert_eq!(report.count(Class::Drift), 1);
    let backfill = run(database, &config(10, Scope::NonDraft)).unwrap();
    assert_eq!(backfill.totals.conflict.school, 1, "the backfill tells it too, and leaves it alone");
}

/// A school project with a goal: no subtype row takes it.
fn error_4_stray_values_are_copied_nowhere(database: &TestDatabase) {
    migrate(database);
    insert_project(database, 1, "school", false);
    database.execute("UPDATE projects_project SET goal_description = 'only here'");
    run(database, &config(10, Scope::NonDraft)).unwrap();
    assert!(plans_guard_passes(database));
    assert_eq!(plans_integrity_issues(database), 0);
    assert_eq!(database.count("projects_selfstudyproject"), 0, "the value is in no subtype row");

    assert_eq!(ours(database).count(Class::StrayValue), 1);
}

/// The plan's paging: the set of projects without a row shrinks by each page that is worked on, and the next offset
/// passes over as many as were done.
fn error_7_offset_over_a_shrinking_set_skips_rows(database: &TestDatabase) {
    migrate(database);
    for number in 1..=10 {
        insert_project(database, number, "school", false);
    }
    let page = 2;
    for offset in (0..10).step_by(page) {
        database.execute(&format!(
            "INSERT INTO projects_schoolproject SELECT id, COALESCE(course_name, ''), COALESCE(course_code, ''), \
                COALESCE(teacher_name, '') FROM projects_project p WHERE NOT EXISTS \
                (SELECT 1 FROM projects_schoolproject c WHERE c.project_id = p.id) \
             ORDER BY id LIMIT {page} OFFSET {offset}"
        ));
    }
    assert_eq!(plans_integrity_issues(database), 4, "four projects were passed over");

    database.execute("DELETE FROM projects_schoolproject");
    let done = run(database, &config(2, Scope::NonDraft)).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(plans_integrity_issues(database), 0);
}
