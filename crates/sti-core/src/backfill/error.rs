//! Why a backfill could not go on.

use super::ledger::RunId;
use super::scope::Scope;
use crate::db::ConnectError;
use crate::db::error::{DbError, Fault};
use crate::expand::Misfit;

/// Why a backfill could not go on. Whatever it had committed stays, and the ledger knows of it.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// A table or column that the backfill needs is not there.
    #[error("{what} is not there: run `sti-migrate up` first")]
    SchemaNotReady {
        /// The table.
        what: String,
    },
    /// A table or column is not as it must be.
    #[error("the schema does not fit; `sti-migrate status` shows it:{}", lines(.0))]
    SchemaMisfit(Vec<Misfit>),
    /// The legacy columns are gone, so there is nothing to copy from.
    #[error("the legacy columns of projects_project are not there: there is nothing to backfill from")]
    LegacyColumnsGone,
    /// The legacy columns are back after a drop and not filled yet.
    #[error("{}", crate::refilling::REFUSAL)]
    Refilling,
    /// The run that is under way was begun with another scope or mapping.
    #[error(
        "run {run} is under way with {under_way}, and this is {asked}: \
         resume it with the options it was begun with, or give it up and begin anew with --restart"
    )]
    CannotResume {
        /// The run.
        run: RunId,
        /// What it was begun with.
        under_way: String,
        /// What this command asks for.
        asked: String,
    },
    /// There is a limit for the replication lag on a database that has no replication.
    #[error("--max-lag needs PostgreSQL: a SQLite file has no standby that could lag; leave it out")]
    NoReplication,
    /// The chunk's counts do not add up: the projects that were locked are not those that are accounted for.
    #[error(
        "chunk {number}: {locked} projects were locked and the counts do not add up to that, so it was rolled back; \
         something writes subtype rows without locking the project first. The same command tries again"
    )]
    DoesNotAddUp {
        /// The number of the chunk.
        number: i32,
        /// How many projects were locked.
        locked: i64,
    },
    /// Somebody else has this chunk now.
    #[error("chunk {number}: its lease was taken over by another process; nothing of it was written here")]
    LeaseLost {
        /// The number of the chunk.
        number: i32,
    },
    /// The run could not be begun or taken up: nothing was written.
    #[error(transparent)]
    NotBegun(DbError),
    /// The database refused to make the rows of a chunk.
    #[error(transparent)]
    Fill(DbError),
    /// The database refused, after the run had begun.
    #[error(transparent)]
    Database(#[from] DbError),
    /// No connection could be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The threads could not be started.
    #[error("cannot start the worker threads: {0}")]
    Threads(String),
    /// The connection was lost at a COMMIT, and the ledger could not be read afterwards.
    #[error("chunk {number}: the connection was lost at its commit, and the ledger cannot be read: {source}")]
    Unknown {
        /// The number of the chunk.
        number: i32,
        /// Why the ledger cannot be read.
        source: Box<BackfillError>,
    },
}

impl From<diesel::result::Error> for BackfillError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

impl BackfillError {
    /// What the error means for the chunk that met it.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Fill(e) => e.fault(),
            // The ledger's own rows are ours: what they break is a bug, and no project's fault.
            Self::Database(e) => match e.fault() {
                Fault::Row => Fault::Other,
                fault => fault,
            },
            Self::DoesNotAddUp { .. } => Fault::Transient,
            Self::Connect(ConnectError::ForeignMessages { .. }) => Fault::Other,
            Self::Connect(_) => Fault::ConnectionLost,
            _ => Fault::Other,
        }
    }

    /// Whether the same command, run again later, takes up where this one ended: a lock, the connection or the
    /// server's state stood in the way, not the data or the schema.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        matches!(
            self.fault(),
            Fault::Transient
                | Fault::LockTimeout
                | Fault::StatementTimeout
                | Fault::ConnectionLost
                | Fault::ReadOnly
                | Fault::Cancelled
                | Fault::StandbyConflict
        ) || matches!(self, Self::LeaseLost { .. } | Self::Unknown { .. })
    }

    pub(super) fn scope_text(scope: Scope, mapping: i32) -> String {
        format!("{scope} (mapping {mapping})")
    }
}

fn lines(misfits: &[Misfit]) -> String {
    misfits.iter().map(|misfit| format!("\n  {misfit}")).collect()
}
