//! Why a restore did not come to its end.

use super::Refilled;
use crate::contract::locks::{AsDbError, Undone};
use crate::contract::session::Unknown;
use crate::db::dialect::LockHolder;
use crate::db::{ConnectError, DbError, Fault};
use crate::verify::VerifyError;

/// Why a restore, or its end, did not come through. What was committed before stays, and the same command goes on
/// behind it.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is nothing to bring columns back to.
    #[error(
        "there is no table projects_project: check the database URL; `sti-migrate status` shows what is there"
    )]
    NoTable,
    /// The columns are gone, and nothing says that we dropped them.
    #[error(
        "legacy columns of projects_project are gone and sti_drop_event records no drop, so there is no archive to \
         restore them from; `sti-migrate status` shows what is there"
    )]
    NoEvent,
    /// Several drops are open: which archive holds the values, nobody can say.
    #[error(
        "sti_drop_event has several drops that were not restored ({}): set restored_at of those whose values are no \
         longer wanted, then run it again", list(.0)
    )]
    SeveralOpen(Vec<i64>),
    /// What is on record about the columns cannot be read.
    #[error("the definitions of the columns in sti_drop_event (event {event}) cannot be read: {reason}")]
    Definitions {
        /// The event.
        event: i64,
        /// Why.
        reason: String,
    },
    /// Triggers that carry the legacy columns over to the subtype rows are there, and would work against the restore's.
    #[error(
        "sync triggers are on projects_project, which carry the legacy columns over to the subtype rows and would work \
         against the restore: take them away with `sti-migrate sync remove`, then run it again; nothing was changed"
    )]
    SyncTriggers,
    /// The locks were not to be had; this step changed nothing.
    #[error(
        "a lock was not to be had in {attempts} attempts ({source}); the step was rolled back{}",
        held_by(.holders)
    )]
    Locked {
        /// How often it was tried.
        attempts: u32,
        /// Who held a lock right after the last attempt.
        holders: Vec<LockHolder>,
        /// What the database said.
        source: DbError,
    },
    /// The database failed while a chunk was at work. That chunk was rolled back; those before it stay.
    #[error(
        "{source}; refilled before by this command: {} projects in {} chunks; the same command goes on behind them",
        done.projects, done.chunks
    )]
    Stopped {
        /// What this command had committed.
        done: Box<Refilled>,
        /// What the database said.
        source: DbError,
    },
    /// The database failed in a way that passes, outside of a chunk. The step under way was rolled back.
    #[error("{source}; the step under way was rolled back: the same command goes on where this one stopped")]
    Interrupted {
        /// What the database said.
        source: DbError,
    },
    /// A COMMIT got no clear answer, and the database could not say what became of it.
    #[error(
        "no clear answer to COMMIT ({}), and what became of it is not known ({}), so the last step happened or it did \
         not: run the same command again, it looks first", .0.source, .0.seen
    )]
    Unknown(Unknown),
    /// A row changed although it was locked. The chunk was rolled back; those before it stay.
    #[error(
        "a chunk was to change {expected} projects and changed {found}: another session wrote to them without a \
         lock; the chunk was rolled back, run the same command again"
    )]
    Interfered {
        /// Rows that the second look decided on.
        expected: i64,
        /// Rows that were changed.
        found: i64,
    },
    /// Something else changed the schema while the restore was under way.
    #[error("{0}: run the same command again")]
    Changed(&'static str),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The two sides could not be compared.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Whatever the database says.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl RestoreError {
    /// What passes with time is told from what does not.
    pub(super) fn sorted(self) -> Self {
        let passes = |error: &DbError| {
            matches!(
                error.fault(),
                Fault::ConnectionLost | Fault::LockTimeout | Fault::Transient | Fault::StatementTimeout
            )
        };
        match self {
            Self::Db(source) | Self::Verify(VerifyError::Database(source)) if passes(&source) => {
                Self::Interrupted { source }
            }
            other => other,
        }
    }
}

impl AsDbError for RestoreError {
    fn as_db_error(&self) -> Option<&DbError> {
        if let Self::Db(error) = self { Some(error) } else { None }
    }

    fn into_db_error(self) -> Result<DbError, Self> {
        if let Self::Db(error) = self { Ok(error) } else { Err(self) }
    }
}

impl From<Undone<Self>> for RestoreError {
    fn from(undone: Undone<Self>) -> Self {
        match undone {
            Undone::Locked { attempts, holders, source } => Self::Locked { attempts, holders, source },
            Undone::Unknown(unknown) => Self::Unknown(unknown),
            Undone::Failed(error) => error,
        }
    }
}

/// A transaction's own statements (BEGIN, COMMIT) fail with diesel's error.
impl From<diesel::result::Error> for RestoreError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

fn list(events: &[i64]) -> String {
    events.iter().map(|event| format!("event {event}")).collect::<Vec<_>>().join(", ")
}

fn held_by(holders: &[LockHolder]) -> String {
    if holders.is_empty() {
        return "; run the same command again".to_owned();
    }
    let holders: Vec<String> = holders.iter().map(ToString::to_string).collect();
    format!(
        ":\n{}\nend these transactions, or wait for their end, and run the same command again",
        holders.join("\n")
    )
}
