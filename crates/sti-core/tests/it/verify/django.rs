//! Every count of the fixture's JSON, found again before any backfill.

use std::fs;

use serde_json::{Value, json};
use sti_core::both_backends;
use sti_core::db::Access;
use sti_core::models::Kind;
use sti_core::test_support::TestDatabase;
use sti_core::verify::{Class, ClassCount, FieldCounts, Split, VerifyReport, counts};

use super::rig::{open, verified};

both_backends! { django: finds_what_the_json_counts, counts_like_the_plan_and_row_by_row }

fn expected() -> Value {
    let path = TestDatabase::django_folder().join("django-10k.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn class(report: &VerifyReport, class: Class) -> ClassCount {
    *report.classes.iter().find(|count| count.class == class).unwrap()
}

fn split(split: Split) -> Value {
    json!({ "nondraft": split.non_draft, "draft": split.draft })
}

fn fields(counts: &FieldCounts) -> Value {
    counts.iter().map(|(name, count)| (name.to_owned(), json!(count))).collect()
}

fn finds_what_the_json_counts(database: &TestDatabase) {
    let report = verified(database);
    let expected = expected();
    let counts = &report.counts;
    let of = |name| class(&report, name);

    let all = counts.projects.all();
    assert_eq!(expected["projects"]["total"], all.total());
    assert_eq!(expected["projects"]["nondraft"], all.non_draft);
    assert_eq!(expected["projects"]["draft"], all.draft);
    assert_eq!(expected["by_type"]["school"], split(counts.projects.school));
    assert_eq!(expected["by_type"]["self_study"], split(counts.projects.self_study));
    assert_eq!(expected["unknown_type"], split(counts.projects.unknown));
    assert_eq!(expected["unknown_type"], split(of(Class::UnknownType).projects.unknown));
    assert_eq!(expected["unknown_type_with_data"], of(Class::UnknownType).with_values.total());
    assert_eq!(expected["unknown_type_with_child"], of(Class::WrongKind).projects.unknown.total());

    assert_eq!(expected["school_rows"], counts.subtype_rows.school);
    assert_eq!(expected["self_study_rows"], counts.subtype_rows.self_study);
    assert_eq!(expected["orphans"]["school"], report.count(Class::OrphanSchool));
    assert_eq!(expected["orphans"]["self_study"], report.count(Class::OrphanSelfStudy));
    assert_eq!(expected["with_any_child"], split(counts.with_any_row));
    assert_eq!(expected["in_sync"], split(report.in_sync.all()));

    let mut with_data = of(Class::MissingDraft).with_values;
    with_data += of(Class::Missing).with_values;
    assert_eq!(expected["missing_with_data"], split(with_data));
    for kind in Kind::ALL {
        let name = kind.as_str();
        let mut missing = of(Class::Missing).projects.of(Some(kind));
        missing += of(Class::MissingDraft).projects.of(Some(kind));
        missing += of(Class::DraftWithoutRow).projects.of(Some(kind));
        assert_eq!(expected["missing"][name], split(missing), "{name}");
        assert_eq!(expected["drift"][name], split(of(Class::Drift).projects.of(Some(kind))), "{name}");
        assert_eq!(expected["stray"][name], of(Class::StrayValue).projects.of(Some(kind)).total(), "{name}");
    }
    assert_eq!(expected["wrong_type_only"], of(Class::WrongKind).total);
    assert_eq!(expected["both_children"], of(Class::BothKinds).total);
    assert_eq!(expected["wrong_type_child"], counts.rows_of_wrong_kind.total());

    assert_eq!(expected["draft_with_data"], report.legacy.with_values.all().draft);
    assert_eq!(expected["nulls"], fields(&report.legacy.nulls));
    assert_eq!(expected["empties"], fields(&report.legacy.empties));
    assert!(!report.is_clean());
}

fn counts_like_the_plan_and_row_by_row(database: &TestDatabase) {
    let counts = counts(&mut open(database, Access::Read)).unwrap();
    assert_eq!(counts, verified(database).counts, "the structural pass counts what the whole one does");
    let expected = expected();
    let plan = counts.plan_coverage();
    assert_eq!(expected["seed_guard"]["children"], plan.part);
    assert_eq!(expected["seed_guard"]["projects"], plan.whole);

    // 110 subtype rows are there, and only 70 of them are the row that a project should have.
    let of = |is_draft| counts.coverage_of_known(is_draft);
    let covered = |kind: &str, state: &str| {
        expected["by_type"][kind][state].as_i64().unwrap()
            - expected["missing"][kind][state].as_i64().unwrap()
    };
    assert_eq!(of(false).part, covered("school", "nondraft") + covered("self_study", "nondraft"));
    assert_eq!(of(true).part, covered("school", "draft") + covered("self_study", "draft"));
}
