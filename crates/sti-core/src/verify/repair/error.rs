//! Why a repair could not be made, or ended early.

use crate::db::DbError;

use super::super::error::VerifyError;
use super::change::{Change, ChangeCounts};

/// A repair that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The plan could not be made, and nothing was written; or, of [`VerifyError::Refilling`] only, a restore began on the
    /// way, and the chunks before stay.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// There is no table for the before-images; nothing was written.
    #[error("table sti_repair_log does not exist, and nothing is repaired without it: run `sti-migrate up`")]
    NoLog,
    /// The database failed while a chunk was at work. That chunk was rolled back; those before it stay.
    #[error(
        "{source}; committed before: {} changes in {chunks} chunks (sti_repair_log has the before-images); \
         run sti-verify to see what is left", done.total()
    )]
    Stopped {
        /// Changes that were committed.
        done: Box<ChangeCounts>,
        /// Chunks that were committed.
        chunks: i64,
        /// What the database said.
        source: DbError,
    },
    /// The connection was lost at the COMMIT of a chunk: it happened or it did not. Those before it stay.
    #[error(
        "the connection was lost while a chunk was being committed ({source}): whether it happened, sti_repair_log \
         says, which has a row for each change; committed before: {} changes in {chunks} chunks", done.total()
    )]
    Unknown {
        /// Changes that were committed before.
        done: Box<ChangeCounts>,
        /// Chunks that were committed before.
        chunks: i64,
        /// What the database said.
        source: DbError,
    },
    /// A row changed although it was locked: some writer does not lock the project first. The chunk was rolled
    /// back; those before it stay.
    #[error(
        "{change} was to change {expected} rows and found {found}: another session wrote to them without locking \
         the project first; the chunk was rolled back, run sti-verify to see what is left"
    )]
    Interfered {
        /// The change.
        change: Change,
        /// Rows that the second look decided on.
        expected: i64,
        /// Rows that were there to be changed.
        found: i64,
    },
}
