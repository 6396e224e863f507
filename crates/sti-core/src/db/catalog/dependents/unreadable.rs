//! Views and triggers that SQLite cannot read, such as a view of a table that is not there: it reads all of them before
//! it drops a column of any table, and drops none while there is one.

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection as _;

use super::sqlite::{Entry, TableColumn, dependent};
use super::trial::{in_memory, make_tables, table_columns};
use super::{Dependent, Effect};
use crate::db::catalog::quote::identifier;
use crate::db::error::DbError;

/// A table of the copy from which a column is dropped to see what SQLite says.
const OTHER: &str = "sti_unreadable";

/// Those that neither the database itself can read nor an empty copy of the schema in memory. The copy has no virtual
/// tables; the database does not know the functions of the application, for which SQLite does not ask here.
pub(super) fn unreadable(
    connection: &mut SqliteConnection,
    entries: &[Entry],
    all_columns: &[TableColumn],
) -> Result<Vec<Dependent>, DbError> {
    let candidates: Vec<&Entry> =
        entries.iter().filter(|entry| ["view", "trigger"].contains(&entry.kind.as_str())).collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let mut copy = in_memory()?;
    make_tables(&mut copy, entries, all_columns, |_| true);
    for entry in &candidates {
        let _ = copy.batch_execute(&entry.sql);
    }
    let mut found = Vec::new();
    // It names one at a time; without that one it names the next.
    for _ in &candidates {
        let tried = copy.batch_execute(&format!(
            "DROP TABLE IF EXISTS {OTHER}; CREATE TABLE {OTHER} (a, b); ALTER TABLE {OTHER} DROP COLUMN b"
        ));
        let Err(error) = tried else { break };
        let words = error.to_string();
        let named = |entry: &&&Entry| words.starts_with(&format!("error in {} {}: ", entry.kind, entry.name));
        let Some(entry) = candidates.iter().find(named) else { break };
        let drop = format!("DROP {} {}", entry.kind, identifier(&entry.name));
        if copy.batch_execute(&drop).is_err() {
            break;
        }
        if !can_be_read(connection, entry) {
            found.push(dependent(&entry.kind, entry.name.clone(), Effect::Unreadable, &entry.sql));
        }
    }
    Ok(found)
}

/// Whether the database compiles it. Nothing is carried out.
fn can_be_read(connection: &mut SqliteConnection, entry: &Entry) -> bool {
    if entry.kind == "view" {
        let select = format!("EXPLAIN SELECT * FROM {}", identifier(&entry.name));
        return connection.batch_execute(&select).is_ok();
    }
    let of = identifier(&entry.of);
    let columns = table_columns(connection, &entry.of);
    let set: Vec<String> = columns.iter().map(|name| format!("{0} = {0}", identifier(name))).collect();
    let fire = format!(
        "EXPLAIN INSERT INTO {of} DEFAULT VALUES; EXPLAIN UPDATE {of} SET {}; EXPLAIN DELETE FROM {of}",
        set.join(", ")
    );
    connection.batch_execute(&fire).is_ok()
}
