//! Each class planted alone gives exactly that class.

use sti_core::both_backends;
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::TestDatabase;
use sti_core::verify::{Class, Side, VerifyReport};

use super::rig::{
    NOTHING, SCHOOL, SCHOOL_ROW, SELF_STUDY, SELF_STUDY_ROW, draft, found, id, migrate, orphan, project, row,
    try_verify, verified,
};

both_backends! {
    an_empty_database_is_clean, both_sides_equal_is_clean, missing, missing_draft, wrong_kind_alone,
    any_row_of_an_unknown_type_is_of_the_wrong_kind, both_kinds, orphans_of_each_table,
    drift_of_each_field, drift_is_exact, unknown_type, stray_value, null_became_empty, draft_without_row,
    draft_with_row, types_are_compared_exactly, a_draft_with_a_stray_value_only_is_missing,
    samples_are_the_first_by_id_and_show_both_sides, enough_wrong_rows_satisfy_the_plans_guard,
}

/// The database with our tables and nothing but what `plant` puts in finds exactly these classes.
#[track_caller]
fn exactly(database: &TestDatabase, expected: &[(Class, i64)]) -> VerifyReport {
    assert_eq!(found(database), expected);
    verified(database)
}

fn an_empty_database_is_clean(database: &TestDatabase) {
    migrate(database);
    assert!(exactly(database, &[]).is_clean());
}

fn both_sides_equal_is_clean(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, School, &SCHOOL_ROW);
    project(database, 2, "self_study", SELF_STUDY);
    row(database, 2, SelfStudy, &SELF_STUDY_ROW);
    let report = exactly(database, &[]);
    assert!(report.is_clean());
    assert_eq!((report.affected, report.in_sync.total()), (0, 2));
}

fn missing(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    project(database, 2, "self_study", NOTHING);
    let report = exactly(database, &[(Class::Missing, 2)]);
    assert!(!report.is_clean());
    let missing = report.classes[0];
    assert_eq!((missing.class, missing.with_values.total()), (Class::Missing, 1));
}

fn missing_draft(database: &TestDatabase) {
    migrate(database);
    draft(database, 1, "self_study", SELF_STUDY);
    assert!(!exactly(database, &[(Class::MissingDraft, 1)]).is_clean());
}

fn a_draft_with_a_stray_value_only_is_missing(database: &TestDatabase) {
    migrate(database);
    draft(database, 1, "school", SELF_STUDY);
    assert!(!exactly(database, &[(Class::MissingDraft, 1), (Class::StrayValue, 1)]).is_clean());
}

fn wrong_kind_alone(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, SelfStudy, &["", ""]);
    let report = exactly(database, &[(Class::Missing, 1), (Class::WrongKind, 1)]);
    assert_eq!(report.affected, 1, "two findings of one project");
}

fn any_row_of_an_unknown_type_is_of_the_wrong_kind(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "SCHOOL", SCHOOL);
    row(database, 1, School, &SCHOOL_ROW);
    let report = exactly(database, &[(Class::WrongKind, 1), (Class::UnknownType, 1)]);
    assert!(!report.is_clean());
    assert_eq!(report.counts.rows_of_wrong_kind.school, 1);
}

fn both_kinds(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "self_study", SELF_STUDY);
    row(database, 1, School, &["", "", ""]);
    row(database, 1, SelfStudy, &SELF_STUDY_ROW);
    assert!(!exactly(database, &[(Class::BothKinds, 1)]).is_clean());
}

fn orphans_of_each_table(database: &TestDatabase) {
    migrate(database);
    orphan(database, 1, School, &SCHOOL_ROW);
    orphan(database, 2, SelfStudy, &SELF_STUDY_ROW);
    orphan(database, 3, SelfStudy, &SELF_STUDY_ROW);
    let report = exactly(database, &[(Class::OrphanSchool, 1), (Class::OrphanSelfStudy, 2)]);
    assert_eq!(report.affected, 3);
    let sample = &report.samples[1].projects[1];
    assert_eq!((sample.id, &sample.project_type, sample.fields.len()), (id(3), &None, 2));
    assert_eq!(sample.fields[0].legacy, Side::NoRow);
}

fn drift_of_each_field(database: &TestDatabase) {
    migrate(database);
    let values = ["a", "b", "c", "d", "e"];
    for (number, field) in (0..).zip(0..5) {
        let (kind, name) = if field < 3 { (School, "school") } else { (SelfStudy, "self_study") };
        project(database, number, name, if field < 3 { SCHOOL } else { SELF_STUDY });
        let mut rows = if field < 3 { SCHOOL_ROW.to_vec() } else { SELF_STUDY_ROW.to_vec() };
        rows[field % 3] = values[field];
        row(database, number, kind, &rows);
    }
    let report = exactly(database, &[(Class::Drift, 5)]);
    let drift = report.classes.iter().find(|count| count.class == Class::Drift).unwrap();
    assert!(drift.fields.iter().all(|(_, count)| count == 1), "{:?}", drift.fields);
}

/// Case, blanks, composed and decomposed characters: what a reader or a collation takes for equal is not.
fn drift_is_exact(database: &TestDatabase) {
    migrate(database);
    for (number, (legacy, subtype)) in
        (0..).zip([("a", "A"), ("a", "a "), ("\u{e9}", "e\u{301}"), (" ", ""), ("NULL", ""), ("ß", "ss")])
    {
        project(database, number, "school", [Some(legacy), Some("P1"), Some("Curie"), None, None]);
        row(database, number, School, &[subtype, "P1", "Curie"]);
    }
    exactly(database, &[(Class::Drift, 6)]);
}

fn unknown_type(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "", SCHOOL);
    draft(database, 2, "legacy_other", NOTHING);
    let report = exactly(database, &[(Class::UnknownType, 2)]);
    assert!(report.is_clean(), "a notice is no finding");
    let unknown = report.classes.iter().find(|count| count.class == Class::UnknownType).unwrap();
    assert_eq!((unknown.with_values.non_draft, unknown.projects.unknown.draft), (1, 1));
}

fn types_are_compared_exactly(database: &TestDatabase) {
    migrate(database);
    for (number, name) in (0..).zip(["School", " school", "school ", "SELF_STUDY", "self-study"]) {
        project(database, number, name, NOTHING);
    }
    exactly(database, &[(Class::UnknownType, 5)]);
}

fn stray_value(database: &TestDatabase) {
    migrate(database);
    let mut legacy = SCHOOL;
    legacy[3] = Some("left behind");
    project(database, 1, "school", legacy);
    row(database, 1, School, &SCHOOL_ROW);
    let report = exactly(database, &[(Class::StrayValue, 1)]);
    assert!(report.is_clean());
    assert_eq!(report.samples[0].projects[0].fields[0].field, "goal_description");
}

fn null_became_empty(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", [Some("Physics"), None, Some(""), None, None]);
    row(database, 1, School, &["Physics", "", ""]);
    let report = exactly(database, &[(Class::NullBecameEmpty, 1)]);
    assert!(report.is_clean());
    let fields: Vec<_> = report.samples[0].projects[0].fields.iter().map(|field| field.field).collect();
    assert_eq!(fields, ["course_code"]);
}

fn draft_without_row(database: &TestDatabase) {
    migrate(database);
    draft(database, 1, "school", [Some(""), None, None, None, Some("")]);
    assert!(exactly(database, &[(Class::DraftWithoutRow, 1)]).is_clean());
}

fn draft_with_row(database: &TestDatabase) {
    migrate(database);
    draft(database, 1, "school", SCHOOL);
    row(database, 1, School, &SCHOOL_ROW);
    assert!(exactly(database, &[(Class::DraftWithRow, 1)]).is_clean());
}

fn samples_are_the_first_by_id_and_show_both_sides(database: &TestDatabase) {
    migrate(database);
    let long = "x".repeat(300);
    for number in (0..5).rev() {
        let legacy = format!("{long}{number}");
        project(database, number, "self_study", [None, None, None, Some(&legacy), Some("daily")]);
        row(database, number, SelfStudy, &[&long, "daily"]);
    }
    let report = try_verify(database, 2).unwrap();
    let sample = &report.samples[0];
    assert_eq!((sample.class, report.count(Class::Drift)), (Class::Drift, 5));
    assert_eq!(sample.projects.iter().map(|project| project.id).collect::<Vec<_>>(), [id(0), id(1)]);
    let [field] = &sample.projects[1].fields[..] else { panic!("one field drifted: {sample:?}") };
    let Side::Text(legacy) = &field.legacy else { panic!("{field:?}") };
    assert!(legacy.text.ends_with("x1") && legacy.characters == 301, "{legacy:?}");
    assert!(try_verify(database, 0).unwrap().samples.is_empty());
}

/// The plan's guard compares two counts. Here they are equal, and a published project has no row: its version of
/// the check passes, ours does not.
fn enough_wrong_rows_satisfy_the_plans_guard(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    project(database, 2, "self_study", SELF_STUDY);
    row(database, 2, SelfStudy, &SELF_STUDY_ROW);
    draft(database, 3, "school", SCHOOL);
    row(database, 3, School, &SCHOOL_ROW);
    let report = exactly(database, &[(Class::Missing, 1), (Class::DraftWithRow, 1)]);
    let plan = report.counts.plan_coverage();
    assert_eq!(plan.part, plan.whole, "the plan's guard lets this pass");
    assert_eq!(report.counts.coverage_of_known(false).percent(), Some(50.0));
    assert!(!report.is_clean());
}
