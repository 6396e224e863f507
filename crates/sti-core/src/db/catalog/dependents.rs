//! What depends on columns: what goes with them, what keeps them from being dropped, what breaks afterwards.

mod postgres;
mod sqlite;
mod trial;
mod unreadable;

use serde::{Deserialize, Serialize};

use crate::db::connection::AnyConnection;
use crate::db::error::DbError;

/// Something that would not be the same without the columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dependent {
    /// What it is: `index`, `view`, `trigger`, `check constraint` …
    pub kind: String,
    /// Its name, with what it needs to be found: the schema, the table.
    pub name: String,
    /// What becomes of it.
    pub effect: Effect,
    /// The statement, or the part of one, that made it.
    pub definition: String,
}

/// What becomes of a dependent when the columns are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is dropped with them, without a word.
    Goes,
    /// The database refuses to drop the columns while it is there.
    Blocks,
    /// Broken already, and in the way: SQLite drops no column while it cannot read a view or a trigger of any table.
    Unreadable,
    /// It stays, and fails or answers otherwise.
    Breaks,
    /// It stays; its text names a column, and nobody but its author can tell what that means.
    MayBreak,
}

impl Effect {
    /// In words, after the name of the dependent.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Goes => "would be dropped with them",
            Self::Blocks => "keeps them from being dropped",
            Self::Unreadable => "is broken, and SQLite drops no column while it cannot read it",
            Self::Breaks => "would break",
            Self::MayBreak => "names them and may break",
        }
    }
}

/// Everything that depends on one of these columns of `table`, sorted. An index, a constraint or a trigger of the
/// same table that does not name one of them is none; on SQLite a view or a trigger that is broken is one, whatever it
/// names ([`Effect::Unreadable`]). Reads the catalogue only; on SQLite views and triggers are
/// tried out on an empty copy of the schema in memory.
///
/// # Errors
/// Whatever the database says.
pub fn dependents(
    connection: &mut AnyConnection,
    table: &str,
    columns: &[&str],
) -> Result<Vec<Dependent>, DbError> {
    let mut found = match connection {
        AnyConnection::Pg(pg) => postgres::dependents(pg, table, columns)?,
        AnyConnection::Sqlite(sqlite) => sqlite::dependents(sqlite, table, columns)?,
    };
    found.sort();
    found.dedup();
    Ok(found)
}
