//! The classes in plain SQL, one statement each, written from their description and not from the code.

use sti_core::test_support::TestDatabase;

use super::Found;

const P: &str = "projects_project p";
const SCHOOL: &str = "EXISTS (SELECT 1 FROM projects_schoolproject x WHERE x.project_id = p.id)";
const SELF_STUDY: &str = "EXISTS (SELECT 1 FROM projects_selfstudyproject x WHERE x.project_id = p.id)";
const KNOWN: &str = "p.project_type IN ('school', 'self_study')";
/// The row of the project's own type is not there.
const LACKS: &str = "(p.project_type = 'school' AND p.id NOT IN (SELECT project_id FROM projects_schoolproject) \
                      OR p.project_type = 'self_study' AND p.id NOT IN (SELECT project_id FROM projects_selfstudyproject))";
const ALL_TEXT: &str = "COALESCE(p.course_name, '') || COALESCE(p.course_code, '') || COALESCE(p.teacher_name, '') || \
                        COALESCE(p.goal_description, '') || COALESCE(p.study_frequency, '')";

/// Each type with its table and columns.
const TYPES: [(&str, &str, &[&str]); 2] = [
    ("school", "projects_schoolproject", &["course_name", "course_code", "teacher_name"]),
    ("self_study", "projects_selfstudyproject", &["goal_description", "study_frequency"]),
];

pub(super) fn found(database: &TestDatabase) -> Found {
    let mut found = Found::new();
    let mut take = |class: &str, key: &str, rest: &str| {
        for id in database.column(key, &format!("FROM {rest}")) {
            found.insert((class.to_owned(), id.unwrap().replace('-', "")));
        }
    };
    take("missing", "p.id", &format!("{P} WHERE NOT p.is_draft AND {LACKS}"));
    take("missing_draft", "p.id", &format!("{P} WHERE p.is_draft AND {LACKS} AND {ALL_TEXT} <> ''"));
    take("draft_without_row", "p.id", &format!("{P} WHERE p.is_draft AND {LACKS} AND {ALL_TEXT} = ''"));
    take("draft_with_row", "p.id", &format!("{P} WHERE p.is_draft AND {KNOWN} AND NOT {LACKS}"));
    take("unknown_type", "p.id", &format!("{P} WHERE NOT ({KNOWN})"));
    take("both_kinds", "p.id", &format!("{P} WHERE {KNOWN} AND {SCHOOL} AND {SELF_STUDY}"));
    take("wrong_kind", "p.id", &format!("{P} WHERE NOT ({KNOWN}) AND ({SCHOOL} OR {SELF_STUDY})"));
    take("wrong_kind", "p.id", &format!("{P} WHERE {LACKS} AND ({SCHOOL} OR {SELF_STUDY})"));
    let orphans =
        |table: &str| format!("{table} x WHERE x.project_id NOT IN (SELECT id FROM projects_project)");
    take("orphan_school", "x.project_id", &orphans("projects_schoolproject"));
    take("orphan_self_study", "x.project_id", &orphans("projects_selfstudyproject"));
    for (name, table, columns) in TYPES {
        for column in columns {
            let pair = format!("{P} JOIN {table} x ON x.project_id = p.id WHERE p.project_type = '{name}'");
            let drifted = format!("{pair} AND COALESCE(p.{column}, '') <> x.{column}");
            let became_empty = format!("{pair} AND p.{column} IS NULL AND x.{column} = ''");
            let stray = format!("{P} WHERE {KNOWN} AND p.project_type <> '{name}' AND p.{column} <> ''");
            for (class, rest) in
                [("drift", drifted), ("null_became_empty", became_empty), ("stray_value", stray)]
            {
                take(class, "p.id", &rest);
                take(&format!("{class} {column}"), "p.id", &rest);
            }
        }
    }
    found
}
