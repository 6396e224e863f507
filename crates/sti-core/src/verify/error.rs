//! Why a verification could not be made.

use crate::db::DbError;
use crate::mapping::LEGACY_COLUMNS;

/// A verification that has no answer. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A table is not there.
    #[error("table {table} does not exist: check the database URL, then run `sti-migrate up`")]
    NoTable {
        /// The table.
        table: &'static str,
    },
    /// A table lacks a column that every row is compared by.
    #[error("table {table} has no column {column}: run `sti-migrate status` to see what does not fit")]
    NoColumn {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The legacy columns were dropped, so the subtype rows are the only copy of their values.
    #[error(
        "there is nothing to compare with: projects_project has none of its legacy columns ({}) any more; \
         run `sti-migrate status` to see when they were dropped",
        LEGACY_COLUMNS.join(", ")
    )]
    LegacyColumnsGone,
    /// A repair from the legacy side while the legacy columns are back after a drop and not filled yet.
    #[error("{}", crate::refilling::REFUSAL)]
    Refilling,
    /// The pass did not see every row that its own snapshot holds.
    #[error(
        "the pass over {table} saw {found} of {expected} rows of its own snapshot, so its answer is worth nothing: \
         look for a damaged index or duplicate keys (REINDEX TABLE {table}), then run it again"
    )]
    ShortPass {
        /// The table.
        table: &'static str,
        /// Rows that the table holds in the snapshot.
        expected: i64,
        /// Rows that the pass accounted for.
        found: i64,
    },
    /// The finding could not be handed over.
    #[error("cannot write the ids of the findings: {0}")]
    Sink(#[from] std::io::Error),
    /// Whatever the database says.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// A transaction's own statements (BEGIN, COMMIT) fail with diesel's error.
impl From<diesel::result::Error> for VerifyError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
