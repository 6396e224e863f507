//! The sample on both backends.

use std::collections::BTreeMap;

use sti_core::both_backends;
use sti_core::db::DatabaseUrl;
use sti_core::test_support::TestDatabase;

use super::fill;

const PROJECTS: u64 = 20_000;
const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];

both_backends! { a_database_with_projects_is_refused, every_class_is_there }

fn filled(database: TestDatabase, projects: u64, seed: u64) -> (TestDatabase, BTreeMap<&'static str, u64>) {
    let counts = fill(&DatabaseUrl::parse(database.url()).unwrap(), projects, seed).unwrap();
    (database, counts.into_iter().collect())
}

/// Every column of every table, as text that does not depend on the backend.
fn digests(database: &TestDatabase) -> Vec<String> {
    let second = |column: &str| match database.backend_name() {
        "postgres" => format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"),
        _ => format!("substr({column} || '.000000', 1, 26)"),
    };
    let (created, updated) = (second("created_at"), second("updated_at"));
    let mut project = vec!["name", "project_type", "owner_id", "start_date", "end_date", &created, &updated];
    project.push("CASE WHEN is_draft THEN 1 ELSE 0 END");
    project.extend(LEGACY);
    [
        database.digest("projects_project", "id", &project),
        database.digest("projects_schoolproject", "project_id", &LEGACY[..3]),
        database.digest("projects_selfstudyproject", "project_id", &LEGACY[3..]),
    ]
    .map(|digest| format!("{} rows, {digest}", digest.rows))
    .to_vec()
}

#[test]
fn a_seed_makes_the_same_rows_on_both_backends() {
    let (postgres, in_postgres) = filled(TestDatabase::postgres(), PROJECTS, 7);
    let (sqlite, in_sqlite) = filled(TestDatabase::sqlite_missing(), PROJECTS, 7);
    assert_eq!(in_postgres, in_sqlite);
    assert_eq!(digests(&postgres), digests(&sqlite));

    let (other, _) = filled(TestDatabase::sqlite(), PROJECTS, 8);
    assert_ne!(digests(&other), digests(&sqlite));
}

#[test]
fn a_smaller_sample_is_the_beginning_of_a_bigger_one() {
    let (small, _) = filled(TestDatabase::sqlite(), 10, 7);
    let (big, _) = filled(TestDatabase::sqlite(), 6000, 7);
    let ids = small.column("id", "FROM projects_project");
    assert_eq!(ids.len(), 10);
    let ids: Vec<String> = ids.into_iter().flatten().map(|id| format!("'{id}'")).collect();
    assert_eq!(big.count(&format!("projects_project WHERE id IN ({})", ids.join(", "))), 10);
}

fn every_class_is_there(database: &TestDatabase) {
    let counts: BTreeMap<&str, u64> =
        fill(&DatabaseUrl::parse(database.url()).unwrap(), PROJECTS, 1).unwrap().into_iter().collect();
    for (class, count) in &counts {
        assert!(*count > 0, "{class}");
    }
    assert_eq!(counts["projects"], PROJECTS);
    let share = |class: &str| counts[class] as f64 / PROJECTS as f64;
    assert!((share("of type school") - 0.60).abs() < 0.02, "{counts:?}");
    assert!((share("of type self_study") - 0.38).abs() < 0.02, "{counts:?}");
    assert!((share("drafts") - 0.10).abs() < 0.01, "{counts:?}");
    assert_eq!(
        counts["without their subtype row"]
            + counts["with an equal subtype row"]
            + counts["with a drifted subtype row"]
            + counts["of an unknown type"],
        PROJECTS
    );
    for text in ["' '", "'NULL'", "''"] {
        assert!(database.count(&format!("projects_project WHERE course_name = {text}")) > 0, "{text}");
    }
    assert!(database.count("projects_project WHERE course_name IS NULL AND project_type = 'school'") > 0);
    for (column, limit) in [("course_name", 255), ("course_code", 50), ("study_frequency", 50), ("name", 255)]
    {
        assert_eq!(
            database.value(&format!("SELECT max(length({column})) FROM projects_project")),
            limit.to_string()
        );
        let bytes = format!("SELECT max(octet_length({column})) FROM projects_project");
        assert_eq!(database.value(&bytes), (limit * 4).to_string(), "{column}");
    }
}

fn a_database_with_projects_is_refused(database: &TestDatabase) {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    fill(&url, 3, 1).unwrap();
    let before = digests(database);
    let refusal = fill(&url, 3, 2).unwrap_err().to_string();
    assert!(
        refusal.ends_with(
            "holds 3 projects: a sample fills an empty database and never adds to one; name another"
        ),
        "{refusal}"
    );
    assert_eq!(digests(database), before);
}
