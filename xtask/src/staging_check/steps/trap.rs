//! Error 1 of the plan: its guard compares two counts.

use serde_json::Value;

use super::guard::{gate, refused};
use crate::staging_check::census::{Census, FINDINGS};
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::walk::Walk;

/// Published projects that lose their row. Rows of drafts make up for them in the plan's sum.
const TAKEN: usize = 3;

/// The plan's `check_sti_coverage`, word for word in SQL: it raises where this is false.
pub(super) fn plans_guard_passes(census: &Census) -> bool {
    census.rows() >= census.of("published")
}

pub(in crate::staging_check) fn guard(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if walk.place.is_real() {
        return Err(Stop::LeftOut("on purpose: nothing is broken in a staging copy".to_owned()));
    }
    let taken = walk.database().column(
        "project_id",
        &format!(
            "FROM projects_schoolproject WHERE project_id IN (SELECT id FROM projects_project \
             WHERE project_type = 'school' AND NOT is_draft AND school_project_id IS NULL \
             AND name NOT LIKE 'staging-check %') ORDER BY project_id LIMIT {TAKEN}"
        ),
    )?;
    let before = Census::take(walk.database())?;
    walk.database().execute(&format!(
        "DELETE FROM projects_schoolproject WHERE project_id IN ('{}')",
        taken.join("', '")
    ))?;
    let census = Census::take(walk.database())?;
    row.equal(
        "published projects without their row, taken away by us",
        TAKEN as i64,
        census.of("missing") - before.of("missing"),
    );
    let words = format!("{} rows >= {} published projects", census.rows(), census.of("published"));
    row.holds(
        "the plan's counting guard (check_sti_coverage)",
        "passes: it is to be shown wrong",
        words,
        plans_guard_passes(&census),
    );
    let all = walk.everything()?;
    let ran = walk.run(row, "sti-migrate drop-legacy --format json")?;
    walk.look(row);
    row.exit(&ran, 1);
    let said = ran.json()?;
    let coverage = gate(&said, "coverage");
    row.equal("our guard: the gate coverage", "refused", verdict(coverage));
    row.says("projects without their row", coverage, "/found", census.of("missing"));
    let shut = refused(&said);
    row.holds(
        "our guard: gates that refuse",
        "coverage among them",
        shut.join(", "),
        shut.iter().any(|name| name == "coverage"),
    );
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &all, &now);
    Ok(())
}

fn verdict(gate: &Value) -> &str {
    gate["verdict"].as_str().unwrap_or("nothing")
}

pub(in crate::staging_check) fn verify(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let before = walk.everything()?;
    let ran = walk.run(row, "sti-verify --sample 0 --format json")?;
    walk.look(row);
    let census = Census::take(walk.database())?;
    row.exit(&ran, i32::from(census.findings() != "none"));
    let said = ran.json()?;
    for class in FINDINGS {
        row.says(class, &said, &format!("/findings/{class}/total"), census.of(class));
    }
    for class in ["unknown_type", "stray_value"] {
        row.says(class, &said, &format!("/notices/{class}/total"), census.of(class));
    }
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &before, &now);
    Ok(())
}
