//! A staging copy: real rows, at a moment of the rollout from which the walk can begin.

use crate::failure::Failure;
use crate::staging_check::database::Database;
use crate::staging_check::sides::LEGACY;

/// Refuses a copy that the walk would fail on, or would do more to than it announces: nothing is written before.
pub(super) fn check(database: &Database) -> Result<(), Failure> {
    if !database.has_table("projects_project")? {
        return Err(Failure::new(format!(
            "{} has no table projects_project: --database-url is for a staging copy with real rows; \
             --scratch-url is for an empty database",
            database.url()
        )));
    }
    let found = [dropped(database)?, unfinished(database)?, triggers(database)?];
    let Some((what, mend)) = found.into_iter().flatten().next() else { return Ok(()) };
    Err(Failure::new(format!("{}: {what}. Nothing was written. {mend}", database.url())))
}

/// What is wrong, and what mends it.
type Found = Option<(String, &'static str)>;

const TAKE_BACK: &str = "Take it back on the copy (`sti-migrate restore-legacy`, then `sti-migrate restore-legacy \
    --finish`), or make a copy from before the drop";

fn dropped(database: &Database) -> Result<Found, Failure> {
    let columns = database.columns("projects_project")?;
    let there = |name: &&str| columns.iter().any(|(column, _)| column == *name);
    let gone: Vec<&str> = LEGACY.into_iter().filter(|name| !there(name)).collect();
    if gone.is_empty() {
        return Ok(None);
    }
    let what =
        format!("legacy columns are gone ({}), and the walk begins before they are dropped", gone.join(", "));
    Ok(Some((what, TAKE_BACK)))
}

fn unfinished(database: &Database) -> Result<Found, Failure> {
    // Made by the same migration as the column that is asked for.
    if !database.has_table("sti_legacy_archive")? {
        return Ok(None);
    }
    let open = database.column("id", "FROM sti_drop_event WHERE finished_at IS NULL ORDER BY id")?;
    let what = format!("drop {} is on record, and its restore is not finished", open.join(", "));
    Ok((!open.is_empty()).then_some((what, TAKE_BACK)))
}

/// Triggers of ours that write the other side, and their functions: what the walk counts on would not come to pass.
fn triggers(database: &Database) -> Result<Found, Failure> {
    let restore = "these triggers of a restore are there";
    let kinds = [
        ("sti_sync", "sync triggers are there", "Take them away on the copy: `sti-migrate sync remove`"),
        ("sti_restore", restore, "Take them away on the copy: `sti-migrate restore-legacy --finish`"),
    ];
    for (name, what, mend) in kinds {
        let pattern = name.replace('_', "\\_");
        let postgres = format!(
            "FROM (SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass AS what FROM pg_catalog.pg_trigger \
                   WHERE tgname LIKE '%{pattern}%' AND NOT tgisinternal AND tgrelid IN \
                   (to_regclass('projects_project'), to_regclass('projects_schoolproject'), \
                    to_regclass('projects_selfstudyproject')) \
                   UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_catalog.pg_proc \
                   WHERE proname LIKE '{pattern}%' AND pronamespace = current_schema()::regnamespace) AS ours \
             ORDER BY what"
        );
        let sqlite = format!(
            "FROM (SELECT 'trigger ' || name || ' on ' || tbl_name AS what FROM sqlite_schema \
                   WHERE type = 'trigger' AND name LIKE '{pattern}%' ESCAPE '\\') ORDER BY what"
        );
        let there = database.column("what", database.either(&postgres, &sqlite))?;
        if !there.is_empty() {
            return Ok(Some((format!("{what} ({})", there.join(", ")), mend)));
        }
    }
    Ok(None)
}
