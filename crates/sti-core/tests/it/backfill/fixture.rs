//! The backfill of the database that a Django application made, held against the counts that came with it.

use sti_core::backfill::{Ending, PerKind, Scope, dry_run};
use sti_core::test_support::TestDatabase;

use super::rig::{config, migrate, open, run};

sti_core::both_backends! { django: dry_run_is_exact_and_writes_nothing, ends_with_the_expected_rows, a_second_run_finds_nothing }

fn expected() -> serde_json::Value {
    let path = TestDatabase::django_folder().join("django-10k.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn figure(path: &str) -> i64 {
    expected().pointer(path).and_then(serde_json::Value::as_i64).unwrap_or_else(|| panic!("no {path}"))
}

fn digest(database: &TestDatabase, table: &str, columns: &[&str]) -> String {
    let id = if table == "projects_project" { "id" } else { "project_id" };
    database.digest(table, id, columns).to_string()
}

const SCHOOL: [&str; 3] = ["course_name", "course_code", "teacher_name"];
const SELF_STUDY: [&str; 2] = ["goal_description", "study_frequency"];
const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];

fn dry_run_is_exact_and_writes_nothing(database: &TestDatabase) {
    migrate(database);
    let before = database.path().map(|path| std::fs::read(path).unwrap());
    let dry = dry_run(&mut open(database), Scope::NonDraft).unwrap();
    assert_eq!(dry.totals.locked, figure("/projects/nondraft"));
    assert_eq!(dry.totals.created.school, figure("/missing/school/nondraft"));
    assert_eq!(dry.totals.created.self_study, figure("/missing/self_study/nondraft"));
    assert_eq!(dry.totals.conflict.school, figure("/drift/school/nondraft"));
    assert_eq!(dry.totals.conflict.self_study, figure("/drift/self_study/nondraft"));
    assert_eq!(dry.totals.unknown, figure("/unknown_type/nondraft"));
    assert!(!dry.measured);
    assert_eq!(database.path().map(|path| std::fs::read(path).unwrap()), before);

    let live = run(database, &config(700, Scope::NonDraft)).unwrap();
    assert_eq!(live.totals, dry.totals, "the live run does what the dry run said");
    let measured = dry_run(&mut open(database), Scope::NonDraft).unwrap();
    assert!(measured.measured);
    assert_eq!(measured.totals.created, PerKind::default());
}

fn ends_with_the_expected_rows(database: &TestDatabase) {
    migrate(database);
    let done = run(database, &config(613, Scope::NonDraft)).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals, done.here);
    let school = database.digest("projects_schoolproject", "project_id", &SCHOOL);
    let self_study = database.digest("projects_selfstudyproject", "project_id", &SELF_STUDY);
    let of = |name: &str| expected()["digests"][name]["digest"].as_str().unwrap().to_owned();
    assert_eq!(school.to_string(), of("school_after_backfill"));
    assert_eq!(self_study.to_string(), of("self_study_after_backfill"));
    assert_eq!(digest(database, "projects_project", &LEGACY), of("legacy"));

    let drafts = run(database, &config(613, Scope::All)).unwrap();
    assert_eq!(drafts.totals.created.school, figure("/missing/school/draft"));
    assert_eq!(drafts.totals.created.self_study, figure("/missing/self_study/draft"));
    assert_eq!(digest(database, "projects_project", &LEGACY), of("legacy"));
}

fn a_second_run_finds_nothing(database: &TestDatabase) {
    migrate(database);
    let first = run(database, &config(2000, Scope::All)).unwrap();
    let second = run(database, &config(2000, Scope::All)).unwrap();
    assert_ne!(first.run, second.run);
    assert_eq!(second.totals.created, PerKind::default());
    assert_eq!(second.totals.conflict, first.totals.conflict);
    let equal = first.totals.created.total() + first.totals.equal.total();
    assert_eq!(second.totals.equal.total(), equal);
}
