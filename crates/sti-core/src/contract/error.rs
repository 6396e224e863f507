//! Why a drop could not be planned or tried.

use super::locks::AsDbError;
use crate::db::migrations::MigrationError;
use crate::db::{ConnectError, DbError};
use crate::verify::VerifyError;

/// A drop that could not be planned or tried. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The columns are gone already, and the drop is on record.
    #[error(
        "the legacy columns were dropped already (event {event} in sti_drop_event): nothing is left to drop; \
         `sti-migrate restore-legacy` brings them back"
    )]
    AlreadyDropped {
        /// The event's id.
        event: i64,
    },
    /// Another drop or rehearsal has given this one up, for it looked dead, or began at the same time. Or the server that
    /// a pooler has gone on with does not have what this one has committed.
    #[error(
        "another drop-legacy began meanwhile, or the server has lost what this one had done, and this one was given up: \
         nothing was dropped; `sti-migrate status` shows what is under way"
    )]
    Overtaken,
    /// It was asked to stop ([`DropOptions::interrupt`](super::DropOptions::interrupt)), and has dropped nothing. What it had made ahead of its locks is taken
    /// away, as far as that could be done.
    #[error("stopped, as asked: this command has dropped nothing")]
    Stopped,
    /// Under the locks something came out otherwise than it must: a bug, or an event trigger. Rolled back.
    #[error("rolled back, nothing was changed: expected {expected}, found {found} (please report it)")]
    Unexpected {
        /// What must come out.
        expected: String,
        /// What came out.
        found: String,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The two sides could not be compared.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The migration that drops the columns failed.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// Whatever the database says.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl AsDbError for ContractError {
    fn as_db_error(&self) -> Option<&DbError> {
        match self {
            Self::Db(error)
            | Self::Migration(MigrationError::Db(error))
            | Self::Verify(VerifyError::Database(error)) => Some(error),
            _ => None,
        }
    }

    fn into_db_error(self) -> Result<DbError, Self> {
        match self {
            Self::Db(error)
            | Self::Migration(MigrationError::Db(error))
            | Self::Verify(VerifyError::Database(error)) => Ok(error),
            other => Err(other),
        }
    }
}

/// A transaction's own statements (BEGIN, COMMIT) fail with diesel's error.
impl From<diesel::result::Error> for ContractError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}
