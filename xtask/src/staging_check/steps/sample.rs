//! The database that everything else looks at.

use crate::staging_check::census::Census;
use crate::staging_check::django;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::sides::{LEGACY, lasting_values, legacy_values, shown};
use crate::staging_check::walk::Walk;

pub(in crate::staging_check) fn make(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let real = walk.place.is_real();
    if !real {
        django::make(walk.database(), walk.projects, walk.seed)?;
    }
    walk.look(row);
    let database = walk.database();
    let columns = database.columns("projects_project")?;
    let there = LEGACY.iter().filter(|name| columns.iter().any(|(column, _)| column == *name)).count();
    row.equal("legacy columns in projects_project", LEGACY.len(), there);
    let census = Census::take(database)?;
    if real {
        row.holds("projects", "more than 0", census.of("projects"), census.of("projects") > 0);
    } else {
        row.equal("projects", walk.projects.cast_signed(), census.of("projects"));
        for (class, what) in [
            ("known_without_row", "projects without their subtype row"),
            ("unknown_type", "projects of an unknown type"),
            ("stray_value", "projects with a value of the other kind"),
            ("drafts_with_values", "drafts that hold values"),
            ("drift", "rows that differ from the legacy columns"),
        ] {
            // A small sample has none of the rare ones.
            let least = i64::from(walk.projects >= 2000);
            row.holds(what, format!("at least {least}"), census.of(class), census.of(class) >= least);
        }
        row.equal("the tools' tables", 0, database.count(database.either(
            "pg_catalog.pg_class WHERE relname LIKE 'sti\\_%' AND relkind = 'r' AND relname <> 'sti_staging_check'",
            "sqlite_schema WHERE name LIKE 'sti\\_%' ESCAPE '\\' AND type = 'table' AND name <> 'sti_staging_check'",
        ))?);
    }
    let legacy = legacy_values(database, "1 = 1")?;
    row.holds("the legacy columns of all projects", "noted", shown(&legacy), legacy.rows > 0);
    walk.memory.at_first = Some((legacy, lasting_values(walk.database(), "1 = 1")?));
    Ok(())
}
