//! `sti-migrate up`: the plan's `manage.py migrate`.

use crate::staging_check::row::{Row, Stop};
use crate::staging_check::sides::{Kind, legacy_values, other_values, shown};
use crate::staging_check::walk::Walk;

/// What the tools make for themselves.
const TABLES: [&str; 9] = [
    "sti_backfill_run",
    "sti_backfill_chunk",
    "sti_repair_log",
    "sti_drop_event",
    "sti_legacy_archive",
    "sti_drop_permit",
    "sti_drop_run",
    "sti_change_log",
    "__diesel_schema_migrations",
];

pub(in crate::staging_check) fn up(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let rows = |walk: &Walk| {
        let database = walk.database();
        // Not every staging copy has the subtype tables yet.
        let rows = |kind: Kind| match database.has_table(kind.table())? {
            true => Ok(shown(&kind.rows(database)?)),
            false => Ok::<_, Stop>("no table".to_owned()),
        };
        let (school, study) = (rows(Kind::School)?, rows(Kind::SelfStudy)?);
        let project = [legacy_values(database, "1 = 1")?, other_values(database, "1 = 1")?];
        let [legacy, other] = project.map(|digest| shown(&digest));
        Ok::<_, Stop>([
            ("projects_project: legacy columns", legacy),
            ("projects_project: other columns", other),
            ("projects_schoolproject", school),
            ("projects_selfstudyproject", study),
        ])
    };
    let before = rows(walk)?;
    let all = walk.everything()?;
    let dry = walk.run(row, "sti-migrate up --dry-run --format json")?;
    row.exit(&dry, 0);
    let now = walk.everything()?;
    row.unchanged("after --dry-run, every row and the schema", &all, &now);
    let up = walk.run(row, "sti-migrate up --format json")?;
    row.exit(&up, 0);
    let status = walk.run(row, "sti-migrate status --format json")?;
    row.exit(&status, 0);
    walk.look(row);
    for table in TABLES {
        row.equal(
            format!("table {table}"),
            "there",
            if walk.database().has_table(table)? { "there" } else { "missing" },
        );
    }
    for ((what, before), (_, now)) in before.into_iter().zip(rows(walk)?) {
        if before == "no table" {
            continue;
        }
        row.equal(format!("rows of {what}"), before, now);
    }
    let all = walk.everything()?;
    let again = walk.run(row, "sti-migrate up --format json")?;
    row.exit(&again, 0);
    let now = walk.everything()?;
    row.unchanged("after the same command again, every row and the schema", &all, &now);
    Ok(())
}
