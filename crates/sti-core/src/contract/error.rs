//! Why a drop could not be planned or tried.

use std::time::Duration;

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
    /// A statement under the locks ran longer than it may, so all of it was rolled back.
    #[error(
        "rolled back, nothing was changed: a statement under the locks ran longer than {:.1} s, far from the estimate \
         ({source}); try again at a quieter time, or allow more with --max-lock", limit.as_secs_f64()
    )]
    TooSlow {
        /// The longest that a statement may run.
        limit: Duration,
        /// What the database said.
        source: DbError,
    },
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

/// A transaction's own statements (BEGIN, COMMIT) fail with diesel's error.
impl From<diesel::result::Error> for ContractError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}
