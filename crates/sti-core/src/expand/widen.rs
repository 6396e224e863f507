//! Subtype columns that we make take whatever the legacy column holds.

use std::fmt;

use diesel::RunQueryDsl as _;

use super::found::Found;
use super::shape::{text_width, width_of_ours};
use crate::db::AnyConnection;
use crate::db::error::{DbError, Doing as _};
use crate::models::Kind;

/// A column of a subtype table that we make, wider than our migration has it because the legacy column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widening {
    /// The subtype table.
    pub table: &'static str,
    /// The column, of the same name as the legacy one.
    pub column: &'static str,
    /// The type of the legacy column.
    pub data_type: String,
}

impl fmt::Display for Widening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.data_type.replace("character varying", "varchar");
        write!(f, "{}.{} is {short}, as wide as the legacy column", self.table, self.column)
    }
}

/// What has to be widened in the subtype tables that are missing.
pub(super) fn widenings(found: &Found) -> Vec<Widening> {
    let parent = found.parent();
    let mut widenings = Vec::new();
    for (kind, _) in Kind::ALL.into_iter().zip(&found.tables[1..]).filter(|(_, table)| !table.is_there()) {
        for column in kind.columns().iter().copied() {
            let Some(legacy) = parent.column(column) else { continue };
            let width = text_width(found.backend, &legacy.data_type);
            if found.backend.enforces_length() && width.is_some_and(|width| width > width_of_ours(column)) {
                widenings.push(Widening { table: kind.table(), column, data_type: legacy.data_type.clone() });
            }
        }
    }
    widenings
}

/// Widens columns of tables that this very transaction has made: they are empty, and nobody else can see them.
pub(super) fn widen(connection: &mut AnyConnection, widenings: &[Widening]) -> Result<(), DbError> {
    for Widening { table, column, data_type } in widenings {
        diesel::sql_query(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {data_type}"))
            .execute(connection)
            .doing(format!("widening {table}.{column}"))?;
    }
    Ok(())
}
