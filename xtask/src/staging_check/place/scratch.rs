//! A database that was given to us to be filled and emptied: empty, or marked as ours by an earlier walk.

use crate::failure::Failure;
use crate::staging_check::database::Database;

/// The table that says so.
const MARKER: &str = "sti_staging_check";

/// What a walk makes: the application's tables, the tools', diesel's, and their sequences.
const MADE: [&str; 5] = ["projects_", "auth_user", "sti_", "staging_check_", "__diesel_schema_migrations"];

/// Empties it if it bears the marker and holds nothing but what a walk makes, and marks it; gives whether there was
/// something. Anything else that holds tables or views is refused before anything is written.
pub(super) fn take(database: &Database) -> Result<bool, Failure> {
    if let Some(missing) = database.url().sqlite_path().filter(|path| !path.exists()) {
        super::make_empty(missing)?;
    }
    let there = relations(database)?;
    if !there.is_empty() {
        if !there.iter().any(|(_, name)| name == MARKER) {
            return Err(Failure::new(format!(
                "{} is not empty and does not bear our marker (a table {MARKER}): it holds {} and {} more; nothing \
                 was written. --scratch-url takes an empty database",
                database.url(),
                there[0].1,
                there.len() - 1
            )));
        }
        if let Some((kind, name)) =
            there.iter().find(|(_, name)| !MADE.iter().any(|made| name.starts_with(made)))
        {
            return Err(Failure::new(format!(
                "{} bears the marker of an earlier walk, and holds {kind} {name}, which no walk has made: somebody has put \
                 something else there. Nothing was written. Drop the table {MARKER} if the database is not for walks any \
                 more, or give an empty one",
                database.url()
            )));
        }
        empty(database, &there)?;
    }
    database.execute(&format!("CREATE TABLE {MARKER} (note text)"))?;
    Ok(!there.is_empty())
}

/// Kind and name of every table and view.
fn relations(database: &Database) -> Result<Vec<(String, String)>, Failure> {
    let rest = database.either(
        "FROM (SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' \
               ELSE 'table' END AS type, oid::regclass::text AS name FROM pg_catalog.pg_class c \
               WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') \
               AND relkind IN ('r', 'v', 'm', 'p', 'f', 'S') AND relnamespace NOT IN \
                   (SELECT oid FROM pg_catalog.pg_namespace \
                    WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')) AS relations \
         ORDER BY type DESC, name",
        "FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         ORDER BY type DESC, name",
    );
    let rows = database.rows(&["type", "name"], rest)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let [kind, name] = <[Option<String>; 2]>::try_from(row).ok()?;
            Some((kind?, name?))
        })
        .collect())
}

fn empty(database: &Database, there: &[(String, String)]) -> Result<(), Failure> {
    if database.is_postgres() {
        let functions = database.column(
            "oid::regprocedure",
            "FROM pg_catalog.pg_proc WHERE pronamespace = current_schema()::regnamespace \
             AND (proname LIKE 'sti\\_%' OR proname LIKE 'staging\\_check\\_%')",
        )?;
        let relations = there.iter().map(|(kind, name)| (kind.to_uppercase(), name));
        let functions = functions.iter().map(|name| ("FUNCTION".to_owned(), name));
        let drops: Vec<String> = relations
            .chain(functions)
            .map(|(kind, name)| format!("DROP {kind} IF EXISTS {name} CASCADE;"))
            .collect();
        return database.execute(&format!("BEGIN; {} COMMIT", drops.concat()));
    }
    let drops: Vec<String> = there
        .iter()
        .map(|(kind, name)| format!("DROP {} IF EXISTS \"{name}\";", kind.to_uppercase()))
        .collect();
    database.execute(&format!("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; {} COMMIT", drops.concat()))
}
