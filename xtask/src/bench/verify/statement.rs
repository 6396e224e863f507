//! The statement that a person would write to count every class, and the proof that it counts what `sti-verify` counts.

use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryResult, RunQueryDsl, SqliteConnection, sql_query};
use serde_json::Value;

use super::contender::sti_verify;
use crate::failure::Failure;

const RIGHT: &str = "(p.project_type = 'school' AND s.project_id IS NOT NULL \
                      OR p.project_type = 'self_study' AND f.project_id IS NOT NULL)";
const KNOWN: &str = "p.project_type IN ('school', 'self_study')";
const VALUE: &str = "(p.course_name <> '' OR p.course_code <> '' OR p.teacher_name <> '' \
                     OR p.goal_description <> '' OR p.study_frequency <> '')";
const ANY_ROW: &str = "(s.project_id IS NOT NULL OR f.project_id IS NOT NULL)";
const SCHOOL: [&str; 3] = ["course_name", "course_code", "teacher_name"];
const SELF_STUDY: [&str; 2] = ["goal_description", "study_frequency"];

/// Each class with its condition, or with a statement of its own for the orphans, which have no project.
fn classes() -> Vec<(String, String)> {
    let filter =
        |class: &str, condition: String| (class.to_owned(), format!("count(*) FILTER (WHERE {condition})"));
    let any = |of_school: &dyn Fn(&str) -> String, of_self_study: &dyn Fn(&str) -> String| {
        let either = |of: Vec<String>| of.join(" OR ");
        format!(
            "(p.project_type = 'school' AND ({}) OR p.project_type = 'self_study' AND ({}))",
            either(SCHOOL.iter().map(|column| of_school(column)).collect()),
            either(SELF_STUDY.iter().map(|column| of_self_study(column)).collect()),
        )
    };
    let drift = any(&|column| format!("COALESCE(p.{column}, '') <> s.{column}"), &|column| {
        format!("COALESCE(p.{column}, '') <> f.{column}")
    });
    let became_empty = any(&|column| format!("p.{column} IS NULL AND s.{column} = ''"), &|column| {
        format!("p.{column} IS NULL AND f.{column} = ''")
    });
    let orphans = |class: &str, table: &str| {
        (
            class.to_owned(),
            format!(
                "(SELECT count(*) FROM {table} r \
                 WHERE NOT EXISTS (SELECT 1 FROM projects_project p WHERE p.id = r.project_id))"
            ),
        )
    };
    let lacks = format!("{KNOWN} AND NOT {RIGHT}");
    let mut all = vec![
        filter("missing", format!("({lacks} AND NOT p.is_draft)")),
        filter("missing_draft", format!("({lacks} AND p.is_draft AND COALESCE({VALUE}, FALSE))")),
        filter("wrong_kind", format!("(NOT {RIGHT} AND {ANY_ROW})")),
        filter("both_kinds", format!("({KNOWN} AND s.project_id IS NOT NULL AND f.project_id IS NOT NULL)")),
        orphans("orphan_school", "projects_schoolproject"),
        orphans("orphan_self_study", "projects_selfstudyproject"),
        filter("drift", drift),
        filter("unknown_type", format!("(NOT {KNOWN})")),
        filter(
            "stray_value",
            "(p.project_type = 'school' AND (p.goal_description <> '' OR p.study_frequency <> '') \
             OR p.project_type = 'self_study' AND (p.course_name <> '' OR p.course_code <> '' OR p.teacher_name <> ''))"
                .to_owned(),
        ),
        filter("null_became_empty", became_empty),
        filter("draft_without_row", format!("({lacks} AND p.is_draft AND NOT COALESCE({VALUE}, FALSE))")),
        filter("draft_with_row", format!("(p.is_draft AND {RIGHT})")),
    ];
    for column in SCHOOL {
        let drifted = format!("(p.project_type = 'school' AND COALESCE(p.{column}, '') <> s.{column})");
        all.push(filter(&format!("drift {column}"), drifted));
    }
    for column in SELF_STUDY {
        let drifted = format!("(p.project_type = 'self_study' AND COALESCE(p.{column}, '') <> f.{column})");
        all.push(filter(&format!("drift {column}"), drifted));
    }
    all
}

/// Runs the statement: each class with its count.
pub(super) fn counts(url: &str) -> Result<Vec<(String, i64)>, Failure> {
    let classes = classes();
    let figures: Vec<String> = classes.iter().map(|(_, sql)| format!("CAST({sql} AS text)")).collect();
    let sql = format!(
        "SELECT {} AS line FROM projects_project p LEFT JOIN projects_schoolproject s ON s.project_id = p.id \
         LEFT JOIN projects_selfstudyproject f ON f.project_id = p.id",
        figures.join(" || ' ' || ")
    );
    let line = line(url, &sql).map_err(Failure::during("count the classes"))?;
    let figures: Result<Vec<i64>, _> = line.split(' ').map(str::parse).collect();
    let figures = figures.map_err(|_| Failure::new(format!("the statement answered {line:?}")))?;
    Ok(classes.into_iter().map(|(class, _)| class).zip(figures).collect())
}

fn line(url: &str, sql: &str) -> QueryResult<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let failed = |error: diesel::ConnectionError| {
        diesel::result::Error::QueryBuilderError(format!("no connection: {error}").into())
    };
    let row: Row = match url.strip_prefix("sqlite:") {
        None => sql_query(sql).get_result(&mut PgConnection::establish(url).map_err(failed)?)?,
        Some(path) => sql_query(sql).get_result(&mut SqliteConnection::establish(path).map_err(failed)?)?,
    };
    Ok(row.line)
}

/// Fails unless the statement and `sti-verify` count the same.
pub(super) fn check(url: &str) -> Result<(), Failure> {
    let output = sti_verify(url).args(["--sample=0", "--format=json"]).output();
    let output = output.map_err(Failure::during("run sti-verify"))?;
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        Failure::new(format!("no report: {error}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    })?;
    for (class, expected) in counts(url)? {
        let found = match class.strip_prefix("drift ") {
            Some(column) => &report["findings"]["drift"]["fields"][column],
            None => ["findings", "notices"]
                .iter()
                .map(|list| &report[list][&class]["total"])
                .find(|total| !total.is_null())
                .unwrap_or(&Value::Null),
        };
        if *found != expected {
            return Err(Failure::new(format!(
                "{class}: the statement counts {expected}, sti-verify {found}"
            )));
        }
    }
    Ok(())
}
