//! `sti counts`: the plan's shell snippets.

use crate::staging_check::census::Census;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::walk::Walk;

pub(in crate::staging_check) fn compare(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let ran = walk.run(row, "sti counts --format json")?;
    row.exit(&ran, 0);
    walk.look(row);
    let said = ran.json()?;
    let census = Census::take(walk.database())?;
    for kind in ["school", "self_study", "unknown"] {
        for (theirs, ours) in [("non_draft", "published"), ("draft", "draft")] {
            let pointer = format!("/projects/{kind}/{theirs}");
            row.says(
                &format!("{kind} projects, {ours}"),
                &said,
                &pointer,
                census.of(&format!("{kind}_{ours}")),
            );
        }
    }
    row.says("rows in projects_schoolproject", &said, "/subtype_rows/school", census.of("school_rows"));
    row.says(
        "rows in projects_selfstudyproject",
        &said,
        "/subtype_rows/self_study",
        census.of("self_study_rows"),
    );
    // The plan: (SchoolProject.count() + SelfStudyProject.count()) / Project.filter(is_draft=False).count()
    row.says("the plan's coverage, rows", &said, "/plan_coverage/part", census.rows());
    row.says(
        "the plan's coverage, published projects",
        &said,
        "/plan_coverage/whole",
        census.of("published"),
    );
    Ok(())
}
