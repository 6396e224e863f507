//! The database that Django made, repaired in each direction.

use sti_core::both_backends;
use sti_core::models::Kind::{self, School, SelfStudy};
use sti_core::test_support::TestDatabase;
use sti_core::verify::repair::{Change, Direction};
use sti_core::verify::{Class, VerifyReport};

use super::{changes, planned, repaired};
use crate::verify::rig::{migrate, verified};

both_backends! { django: from_legacy, from_subtype }

const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];

fn fixture() -> serde_json::Value {
    let path = TestDatabase::django_folder().join("django-10k.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The findings that are left, and what a repair may not touch.
fn left(report: &VerifyReport, classes: &[Class]) -> Vec<i64> {
    classes.iter().map(|class| report.count(*class)).collect()
}

fn legacy_digest(database: &TestDatabase) -> String {
    database.digest("projects_project", "id", &LEGACY).to_string()
}

fn other_columns(database: &TestDatabase) -> String {
    let columns = ["name", "project_type", "owner_id", "is_draft", "created_at", "updated_at", "syllabus"];
    database.digest("projects_project", "id", &columns).to_string()
}

fn from_legacy(database: &TestDatabase) {
    let (before, others) = (verified(database), other_columns(database));
    migrate(database);
    let repair = repaired(database, Direction::Legacy);
    let fixture = fixture();
    let updated = |kind: Kind| repair.changed.of(Change::UpdateRow).of(kind);
    assert_eq!(fixture["drift"]["school"]["nondraft"], updated(School));
    assert_eq!(fixture["drift"]["self_study"]["nondraft"], updated(SelfStudy));
    assert_eq!(fixture["wrong_type_only"], repair.changed.of(Change::CreateRow).total());
    assert_eq!(fixture["wrong_type_child"], repair.changed.of(Change::DeleteRow).total());
    assert_eq!(repair.changed.total(), database.count("sti_repair_log"));

    assert_eq!(
        fixture["digests"]["legacy"]["digest"],
        legacy_digest(database),
        "the right side is untouched"
    );
    assert_eq!(other_columns(database), others);
    let after = verified(database);
    assert_eq!(left(&after, &[Class::Drift, Class::WrongKind, Class::BothKinds]), [0, 0, 0]);
    assert_eq!(after.count(Class::Missing), before.count(Class::Missing) - 10);
    assert_eq!(after.count(Class::MissingDraft), before.count(Class::MissingDraft));
    assert!(!after.is_clean(), "missing rows are the backfill's");
    assert!(planned(database, Direction::Legacy).is_empty());
}

fn from_subtype(database: &TestDatabase) {
    let (before, others) = (verified(database), other_columns(database));
    let legacy = legacy_digest(database);
    migrate(database);
    let repair = repaired(database, Direction::Subtype);
    assert_eq!(changes(&repair.changed).iter().map(|(_, _, count)| count).sum::<i64>(), 30);
    assert_eq!(repair.changed.of(Change::UpdateLegacy).total(), before.count(Class::Drift));
    assert_eq!(repair.changed.of(Change::DeleteRow).total(), before.count(Class::BothKinds));
    assert_ne!(legacy_digest(database), legacy);
    assert_eq!(other_columns(database), others);
    let after = verified(database);
    assert_eq!(left(&after, &[Class::Drift, Class::WrongKind, Class::BothKinds]), [0, 10, 0]);
    // Only a NULL whose row held a value has become one; every other NULL is still NULL.
    let drifted = before.classes.iter().find(|count| count.class == Class::Drift).unwrap().fields;
    for (((column, then), (_, now)), (_, drifted)) in
        before.legacy.nulls.iter().zip(after.legacy.nulls.iter()).zip(drifted.iter())
    {
        assert!((then - drifted..=then).contains(&now), "{column}: {then} NULLs before, {now} now");
    }
    assert!(planned(database, Direction::Subtype).is_empty());
}
