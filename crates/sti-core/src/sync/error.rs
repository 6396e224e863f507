//! What keeps the triggers from being made, and why a command did not come through.

use std::fmt;

use crate::contract::locks::{AsDbError, Undone};
use crate::contract::session::Unknown;
use crate::db::dialect::{LockHolder, Obstacle};
use crate::db::{ConnectError, DbError};
use crate::expand::Misfit;

/// Why the triggers are not made here. Its text names what is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// There is no `projects_project`.
    NoTable,
    /// A part of the schema does not fit.
    Misfit(Misfit),
    /// A migration of ours has not run.
    Pending(String),
    /// The legacy columns are dropped: there is nothing to carry over.
    Dropped,
    /// This drop is not restored and finished: the triggers of the restore write the other way.
    Restoring(i64),
    /// Triggers of a restore are there, and no drop on record that they belong to.
    RestoreTriggers,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTable => f.write_str("there is no table projects_project"),
            Self::Misfit(misfit) => misfit.fmt(f),
            Self::Pending(migration) => write!(f, "migration {migration} has not run"),
            Self::Dropped => {
                f.write_str("the legacy columns are dropped: there is nothing left to carry over")
            }
            Self::Restoring(event) => write!(
                f,
                "drop {event} is not restored and finished: until it is, triggers carry subtype rows over to the \
                 legacy columns, and these would work against them"
            ),
            Self::RestoreTriggers => f.write_str(
                "triggers of a restore are there, which carry subtype rows over to the legacy columns: these would \
                 work against them",
            ),
        }
    }
}

impl Blocker {
    /// The commands that mend it, one after the other; none where nothing has to be mended.
    #[must_use]
    pub const fn fix(&self) -> &'static [&'static str] {
        match self {
            Self::NoTable | Self::Pending(_) => &["sti-migrate up"],
            Self::Misfit(_) => &["sti-migrate status"],
            Self::Dropped => &[],
            Self::Restoring(_) => &["sti-migrate restore-legacy", "sti-migrate restore-legacy --finish"],
            Self::RestoreTriggers => &["sti-migrate restore-legacy --finish"],
        }
    }
}

/// Why a command did not come through.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// There are no such triggers on SQLite.
    #[error(
        "sync triggers are for PostgreSQL only: on SQLite every writer has to embed sti-core and run with \
         ENABLE_STI=true; `sti-verify` shows whether one does not"
    )]
    PostgresOnly,
    /// The role of this session may not do it. Nothing was changed.
    #[error("{}", not_owner(.0))]
    Obstacles(Vec<Obstacle>),
    /// The locks were not to be had. Nothing was changed.
    #[error("the locks were not to be had in {attempts} attempts ({source}); nothing was changed{}", held_by(.holders))]
    Locked {
        /// How often it was tried.
        attempts: u32,
        /// Who held a lock right after the last attempt.
        holders: Vec<LockHolder>,
        /// What the database said.
        source: DbError,
    },
    /// COMMIT got no clear answer, and nobody could be asked what became of it.
    #[error(
        "no clear answer to COMMIT ({}), so it happened, wholly, or it did not ({}): `sti-migrate sync status` tells; \
         the same command again is safe",
        .0.source, .0.seen
    )]
    Unknown(Unknown),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// What was made is not as it should be. It was rolled back.
    #[error("what was made is not as expected, and was rolled back: {}", .0.join("; "))]
    Unexpected(Vec<String>),
    /// Whatever the database says.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl AsDbError for SyncError {
    fn as_db_error(&self) -> Option<&DbError> {
        if let Self::Db(error) = self { Some(error) } else { None }
    }

    fn into_db_error(self) -> Result<DbError, Self> {
        if let Self::Db(error) = self { Ok(error) } else { Err(self) }
    }
}

impl From<Undone<Self>> for SyncError {
    fn from(undone: Undone<Self>) -> Self {
        match undone {
            Undone::Locked { attempts, holders, source } => Self::Locked { attempts, holders, source },
            Undone::Unknown(unknown) => Self::Unknown(unknown),
            Undone::Failed(error) => error,
        }
    }
}

/// A transaction's own statements (BEGIN, COMMIT) fail with diesel's error.
impl From<diesel::result::Error> for SyncError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

fn not_owner(obstacles: &[Obstacle]) -> String {
    let lines = obstacles.iter().map(|obstacle| match obstacle {
        Obstacle::NotOwner { role, owner, table } => {
            format!("role {role} does not own {table}, {owner} does")
        }
        other => other.to_string(),
    });
    format!(
        "{}: connect as the owner of the tables, with whose rights the triggers write",
        lines.collect::<Vec<_>>().join("; ")
    )
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
