//! What contradicts is mended, and a fresh look finds nothing.

use super::kill;
use crate::staging_check::census::{Census, FINDINGS};
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::sides::{Kind, legacy_values, shown};
use crate::staging_check::walk::Walk;

const REPAIR: &str = "sti-verify --repair --from legacy --sample 0";

pub(in crate::staging_check) fn repair(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let legacy = legacy_values(walk.database(), "1 = 1")?;
    let drift = Census::take(walk.database())?.of("drift");
    let line = format!("{} --include-drafts --restart --format json", kill::command(walk)?);
    let ran = walk.run(row, &line)?;
    row.exit(&ran, i32::from(drift > 0));
    mend(walk, row)?;
    let database = walk.database();
    let now = legacy_values(database, "1 = 1")?;
    row.equal("the legacy columns", shown(&legacy), shown(&now));
    Ok(())
}

/// Plans the repair, tries another digest, and carries it out.
pub(super) fn mend(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let before = walk.everything()?;
    let census = Census::take(walk.database())?;
    let log = walk.database().count("sti_repair_log")?;
    let plan = walk.run(row, &format!("{REPAIR} --format json"))?;
    row.exit(&plan, 0);
    let other = walk.run(row, &format!("{REPAIR} --execute --confirm 000000000000 --format json"))?;
    row.exit(&other, 1);
    let now = walk.everything()?;
    row.unchanged("after the plan and another digest, every row and the schema", &before, &now);
    let digest = plan.json()?["digest"].as_str().unwrap_or("none").to_owned();
    let ran = walk.run(row, &format!("{REPAIR} --execute --confirm {digest} --format json"))?;
    row.exit(&ran, 0);
    walk.look(row);
    let database = walk.database();
    let after = Census::take(database)?;
    row.equal("findings, by our own SQL", "none".to_owned(), after.findings());
    // A row that differs is one change; a project with the wrong row only is two.
    let changes = FINDINGS
        .iter()
        .filter(|class| !class.starts_with("missing"))
        .map(|class| census.of(class))
        .sum::<i64>();
    let logged = database.count("sti_repair_log")? - log;
    row.holds("changes in sti_repair_log", format!("at least {changes}"), logged, logged >= changes);
    Ok(())
}

pub(in crate::staging_check) fn verify(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let ran = walk.run(row, "sti-verify --format json")?;
    row.exit(&ran, 0);
    walk.look(row);
    agree(walk, row)
}

/// Both sides agree, by our own SQL.
pub(super) fn agree(walk: &Walk, row: &mut Row) -> Result<(), Stop> {
    let database = walk.database();
    let census = Census::take(database)?;
    row.equal("findings, by our own SQL", "none".to_owned(), census.findings());
    for kind in Kind::BOTH {
        let (expected, found) = (kind.rows_of_legacy(database)?, kind.rows(database)?);
        row.equal(
            format!("{}: made from the legacy columns, and found", kind.table()),
            shown(&expected),
            shown(&found),
        );
    }
    Ok(())
}
