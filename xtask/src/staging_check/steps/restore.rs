//! The way back.

use super::clean::agree;
use super::drop::{drop_columns, legacy_columns};
use crate::failure::Failure;
use crate::staging_check::database::Database;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::service::untouched;
use crate::staging_check::sides::{LEGACY, legacy_values, shown};
use crate::staging_check::walk::Walk;

/// Triggers that a restore installs, by our own look at the catalogue.
const POSTGRES_TRIGGERS: &str = "pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgrelid IN \
    ('projects_project'::regclass, 'projects_schoolproject'::regclass, 'projects_selfstudyproject'::regclass)";
const SQLITE_TRIGGERS: &str = "sqlite_schema WHERE type = 'trigger' AND tbl_name IN \
    ('projects_project', 'projects_schoolproject', 'projects_selfstudyproject')";

/// The names of the triggers on the three tables.
pub(super) fn triggers(database: &Database) -> Result<Vec<String>, Failure> {
    let from = database.either(POSTGRES_TRIGGERS, SQLITE_TRIGGERS);
    let name = database.either("tgname", "name");
    database.column(name, &format!("FROM {from} ORDER BY {name}"))
}

/// A drop of this walk. What is on record may be older, and without permission nothing is dropped or restored.
fn needs_a_drop(walk: &Walk) -> Result<(), Stop> {
    if !walk.place.may_drop() || !legacy_columns(walk.database())?.is_empty() {
        return Err(walk.no_drop());
    }
    Ok(())
}

/// A restore of this walk.
fn needs_a_restore(walk: &Walk) -> Result<(), Stop> {
    if !walk.place.may_drop() {
        return Err(walk.no_drop());
    }
    if walk.memory.restored && legacy_columns(walk.database())?.len() == LEGACY.len() {
        return Ok(());
    }
    Err(Stop::NotRun("no restore went before".to_owned()))
}

pub(in crate::staging_check) fn restore(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    needs_a_drop(walk)?;
    let ran = walk.run(row, "sti-migrate restore-legacy --format json")?;
    walk.memory.restored = legacy_columns(walk.database())?.len() == LEGACY.len();
    walk.look(row);
    row.exit(&ran, 0);
    as_before(walk, row)?;
    if let Some(mut service) = walk.memory.service.take() {
        let compared = service.compare(row, walk.database(), true);
        walk.memory.service = Some(service);
        compared?;
    }
    let again = walk.run(row, "sti-migrate restore-legacy --format json")?;
    row.exit(&again, 0);
    Ok(())
}

/// The columns and the values of the projects that nobody touched are those from before the drop.
fn as_before(walk: &Walk, row: &mut Row) -> Result<(), Stop> {
    let database = walk.database();
    let Some(before) = &walk.memory.before_drop else {
        return Err(Stop::NotRun("nothing is known of the time before the drop".to_owned()));
    };
    let mut columns: Vec<String> = database
        .columns("projects_project")?
        .into_iter()
        .map(|(name, definition)| format!("{name} {definition}"))
        .collect();
    columns.sort();
    row.equal("columns of projects_project and their types", before.columns.join(", "), columns.join(", "));
    if legacy_columns(database)?.len() == LEGACY.len() {
        let now = legacy_values(database, &untouched())?;
        row.equal("legacy values before the drop, and now", shown(&before.legacy), shown(&now));
    }
    let open = database.count("sti_drop_event WHERE restored_at IS NULL")?;
    row.equal("drops that are not restored, by sti_drop_event", 0, open);
    Ok(())
}

pub(in crate::staging_check) fn verify(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    needs_a_restore(walk)?;
    let mut service = walk.memory.service.take();
    if let Some(service) = &mut service {
        service.work("after the restore")?;
    }
    let ran = walk.run(row, "sti-verify --format json")?;
    walk.look(row);
    row.exit(&ran, 0);
    agree(walk, row)?;
    if let Some(service) = &mut service {
        service.compare(row, walk.database(), true)?;
    }
    walk.memory.service = service;
    Ok(())
}

pub(in crate::staging_check) fn finish(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    needs_a_restore(walk)?;
    let database = walk.database();
    let Some(own) = walk.memory.before_drop.as_ref().map(|before| before.triggers.clone()) else {
        return Err(Stop::NotRun("nothing is known of the time before the drop".to_owned()));
    };
    let before = triggers(database)?.iter().filter(|name| !own.contains(name)).count();
    row.holds(
        "triggers that came with the columns, before",
        "some: they keep both sides level",
        before,
        before > 0,
    );
    let ran = walk.run(row, "sti-migrate restore-legacy --finish --format json")?;
    walk.look(row);
    row.exit(&ran, 0);
    let database = walk.database();
    row.equal(
        "triggers on the three tables, as before the drop",
        own.join(", "),
        triggers(database)?.join(", "),
    );
    let functions = database.either(
        "pg_catalog.pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'sti\\_%'",
        "sqlite_schema WHERE type = 'trigger' AND name LIKE 'sti\\_%' ESCAPE '\\'",
    );
    row.equal("functions of the tools", 0, database.count(functions)?);
    row.equal(
        "restores that are not finished",
        0,
        database.count("sti_drop_event WHERE finished_at IS NULL")?,
    );
    let status = walk.run(row, "sti-migrate status --format json")?;
    row.exit(&status, 0);
    as_before(walk, row)
}

pub(in crate::staging_check) fn again(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    needs_a_restore(walk)?;
    let first = legacy_values(walk.database(), "1 = 1")?;
    drop_columns(walk, row)?;
    for line in
        ["sti-migrate restore-legacy --format json", "sti-migrate restore-legacy --finish --format json"]
    {
        let ran = walk.run(row, line)?;
        row.exit(&ran, 0);
    }
    let second = legacy_values(walk.database(), "1 = 1")?;
    row.equal("legacy values of all projects before, and now", shown(&first), shown(&second));
    as_before(walk, row)
}
