//! The rehearsal and the drop.

use sti_core::test_support::RowSetDigest;

use super::guard::digest;
use super::restore::triggers;
use crate::failure::Failure;
use crate::staging_check::database::Database;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::service::untouched;
use crate::staging_check::sides::{Kind, LEGACY, legacy_values, other_values, shown, subtype_rows};
use crate::staging_check::walk::{BeforeDrop, Walk};

pub(in crate::staging_check) fn rehearse(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let before = walk.everything()?;
    let ran =
        walk.run(row, &format!("sti-migrate drop-legacy{} --rehearse --format json", walk.memory.waivers))?;
    walk.look(row);
    row.exit(&ran, 0);
    let said = ran.json()?;
    row.equal("the tool's outcome", "rehearsed", said["outcome"].as_str().unwrap_or("nothing"));
    row.equal("legacy columns", LEGACY.len(), legacy_columns(walk.database())?.len());
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &before, &now);
    Ok(())
}

pub(in crate::staging_check) fn execute(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    drop_columns(walk, row)
}

/// Drops the columns with a fresh digest, and holds archive and tables against what was there before.
///
/// The only place where the walk drops anything: it asks for the permission itself.
pub(super) fn drop_columns(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if !walk.place.may_drop() {
        return Err(walk.no_drop());
    }
    let database = walk.database();
    let events = database.count("sti_drop_event")? + 1;
    let mut columns: Vec<String> = database
        .columns("projects_project")?
        .into_iter()
        .map(|(name, definition)| format!("{name} {definition}"))
        .collect();
    columns.sort();
    let legacy = legacy_values(database, "1 = 1")?;
    let (others, rows) = (other_values(database, "1 = 1")?, subtype_rows(database)?);
    let untouched = legacy_values(database, &untouched())?;
    walk.memory.before_drop = Some(BeforeDrop { legacy: untouched, columns, triggers: triggers(database)? });

    let plan = format!("sti-migrate drop-legacy{}", walk.memory.waivers);
    let ran = walk.run(row, &format!("{plan} --format json"))?;
    row.exit(&ran, 0);
    let digest = digest(&ran)?.unwrap_or_else(|| "none".to_owned());
    let ran = walk.run(row, &format!("{plan} --execute --confirm {digest} --format json"))?;
    walk.look(row);
    row.exit(&ran, 0);
    row.equal("the tool's outcome", "done", ran.json()?["outcome"].as_str().unwrap_or("nothing"));
    let database = walk.database();
    row.equal("legacy columns, by the catalogue", String::new(), legacy_columns(database)?.join(", "));
    row.equal("events in sti_drop_event", events, database.count("sti_drop_event")?);
    let archived = archive(database, &LEGACY)?;
    row.equal("legacy values before, and in the archive", shown(&legacy), shown(&archived));
    for (kind, before) in Kind::BOTH.into_iter().zip(rows) {
        let found = kind.rows(database)?;
        row.equal(format!("{} before, and now", kind.table()), shown(&before), shown(&found));
        let kept = archived_rows(database, kind)?;
        row.equal(format!("{} before, and in the archive", kind.table()), shown(&before), shown(&kept));
    }
    let now = other_values(database, "1 = 1")?;
    row.equal("the other columns of projects_project", shown(&others), shown(&now));
    row.equal("permits that are left", 0, database.count("sti_drop_permit")?);
    Ok(())
}

/// The legacy columns that are there.
pub(super) fn legacy_columns(database: &Database) -> Result<Vec<String>, Failure> {
    let columns = database.columns("projects_project")?.into_iter().map(|(name, _)| name);
    Ok(columns.filter(|name| LEGACY.contains(&name.as_str())).collect())
}

/// The archive of the last drop.
const LAST_EVENT: &str = "FROM sti_legacy_archive WHERE event_id = (SELECT max(id) FROM sti_drop_event)";

fn archive(database: &Database, columns: &[&str]) -> Result<RowSetDigest, Failure> {
    let columns: Vec<&str> = std::iter::once("project_id").chain(columns.iter().copied()).collect();
    database.digest(&columns, LAST_EVENT)
}

fn archived_rows(database: &Database, kind: Kind) -> Result<RowSetDigest, Failure> {
    let prefixed = kind.columns().iter().map(|column| format!("{}_{column}", kind.name()));
    let columns: Vec<String> = std::iter::once("project_id".to_owned()).chain(prefixed).collect();
    database.digest(&columns, &format!("{LAST_EVENT} AND has_{}", kind.name()))
}
