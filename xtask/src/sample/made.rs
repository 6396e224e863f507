//! What is in the sample, counted by the database from what committed.

use diesel::sql_types::Text;
use diesel::{QueryResult, RunQueryDsl, sql_query};
use sti_core::db::AnyConnection;

const SCHOOL_EQUAL: &str = "s.course_name = COALESCE(p.course_name, '') \
    AND s.course_code = COALESCE(p.course_code, '') AND s.teacher_name = COALESCE(p.teacher_name, '')";
const SELF_STUDY_EQUAL: &str = "f.goal_description = COALESCE(p.goal_description, '') \
    AND f.study_frequency = COALESCE(p.study_frequency, '')";
const HAS_SCHOOL: &str = "COALESCE(p.course_name, '') <> '' OR COALESCE(p.course_code, '') <> '' \
    OR COALESCE(p.teacher_name, '') <> ''";
const HAS_SELF_STUDY: &str =
    "COALESCE(p.goal_description, '') <> '' OR COALESCE(p.study_frequency, '') <> ''";

/// A class of projects and how many there are.
pub(super) type Count = (&'static str, u64);

/// Counts the classes of projects. `p` is the project, `s` its school row, `f` its self-study row.
pub(super) fn count(connection: &mut AnyConnection) -> QueryResult<Vec<Count>> {
    let classes: [(&str, String); 15] = [
        ("projects", "1 = 1".to_owned()),
        ("of type school", "p.project_type = 'school'".to_owned()),
        ("of type self_study", "p.project_type = 'self_study'".to_owned()),
        ("of an unknown type", "p.project_type NOT IN ('school', 'self_study')".to_owned()),
        ("drafts", "p.is_draft".to_owned()),
        ("drafts with a legacy value", format!("p.is_draft AND ({HAS_SCHOOL} OR {HAS_SELF_STUDY})")),
        (
            "with a value of the other kind (stray)",
            format!(
                "(p.project_type = 'school' AND ({HAS_SELF_STUDY})) \
                 OR (p.project_type = 'self_study' AND ({HAS_SCHOOL}))"
            ),
        ),
        (
            "with a legacy NULL of their own kind",
            "(p.project_type = 'school' AND (p.course_name IS NULL OR p.course_code IS NULL \
              OR p.teacher_name IS NULL)) OR (p.project_type = 'self_study' \
              AND (p.goal_description IS NULL OR p.study_frequency IS NULL))"
                .to_owned(),
        ),
        (
            "without their subtype row",
            "(p.project_type = 'school' AND s.project_id IS NULL) \
             OR (p.project_type = 'self_study' AND f.project_id IS NULL)"
                .to_owned(),
        ),
        (
            "with an equal subtype row",
            format!(
                "(p.project_type = 'school' AND {SCHOOL_EQUAL}) \
                 OR (p.project_type = 'self_study' AND {SELF_STUDY_EQUAL})"
            ),
        ),
        (
            "with a drifted subtype row",
            format!(
                "(p.project_type = 'school' AND s.project_id IS NOT NULL AND NOT ({SCHOOL_EQUAL})) \
                 OR (p.project_type = 'self_study' AND f.project_id IS NOT NULL AND NOT ({SELF_STUDY_EQUAL}))"
            ),
        ),
        (
            "with a subtype row of the wrong kind alone",
            "(p.project_type = 'school' AND s.project_id IS NULL AND f.project_id IS NOT NULL) \
             OR (p.project_type = 'self_study' AND f.project_id IS NULL AND s.project_id IS NOT NULL)"
                .to_owned(),
        ),
        (
            "with subtype rows of both kinds",
            "s.project_id IS NOT NULL AND f.project_id IS NOT NULL".to_owned(),
        ),
        ("school rows", "s.project_id IS NOT NULL".to_owned()),
        ("self-study rows", "f.project_id IS NOT NULL".to_owned()),
    ];
    let sums: Vec<String> = classes
        .iter()
        .map(|(_, condition)| format!("CAST(count(CASE WHEN {condition} THEN 1 END) AS TEXT)"))
        .collect();
    let sql = format!(
        "SELECT {} AS value FROM projects_project p \
         LEFT JOIN projects_schoolproject s ON s.project_id = p.id \
         LEFT JOIN projects_selfstudyproject f ON f.project_id = p.id",
        sums.join(" || ',' || ")
    );
    let row: Row = sql_query(sql).get_result(connection)?;
    let numbers = row.value.split(',').map(|number| number.parse().unwrap_or_default());
    Ok(classes.iter().map(|(name, _)| *name).zip(numbers).collect())
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    value: String,
}
