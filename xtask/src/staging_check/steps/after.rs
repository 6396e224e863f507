//! What goes on after the drop, and after everything.

use sti_core::WriteMode;

use super::drop::legacy_columns;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::service::{self, OURS, UNTOUCHED};
use crate::staging_check::sides::{LEGACY, legacy_values, other_values, shown};
use crate::staging_check::walk::Walk;

pub(in crate::staging_check) fn service(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if !legacy_columns(walk.database())?.is_empty() {
        return Err(Stop::NotRun("the legacy columns were not dropped".to_owned()));
    }
    let Some(mut service) = walk.memory.service.take() else {
        return Err(Stop::NotRun("no service was started before the drop".to_owned()));
    };
    let worked = service.work("after the drop");
    walk.look(row);
    let compared = worked.and_then(|()| service.compare(row, walk.database(), false));
    walk.memory.service = Some(service);
    compared?;
    let legacy = service::open(walk.database(), WriteMode::Legacy)?;
    let found = legacy.as_ref().map_or_else(ToString::to_string, |_| "it starts".to_owned());
    row.holds("a service in legacy mode", "does not start", found, legacy.is_err());
    Ok(())
}

pub(in crate::staging_check) fn tidy(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if let Some(mut service) = walk.memory.service.take() {
        service.clear()?;
    }
    let ours = format!("(SELECT id FROM projects_project WHERE name LIKE '{OURS}%')");
    for (table, key) in [
        ("projects_schoolproject", "project_id"),
        ("projects_selfstudyproject", "project_id"),
        ("projects_project", "id"),
    ] {
        walk.database().execute(&format!("DELETE FROM {table} WHERE {key} IN {ours}"))?;
    }
    walk.look(row);
    let Some((legacy, others)) = walk.memory.at_first else {
        return Err(Stop::NotRun("nothing is known of the beginning".to_owned()));
    };
    let database = walk.database();
    if legacy_columns(database)?.len() == LEGACY.len() {
        let now = legacy_values(database, "1 = 1")?;
        row.equal("legacy values at first, and now", shown(&legacy), shown(&now));
    }
    let now = other_values(database, UNTOUCHED)?;
    row.equal("the other columns of projects_project at first, and now", shown(&others), shown(&now));
    Ok(())
}
