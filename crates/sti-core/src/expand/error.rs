//! Why `up` did not come to its end.

use super::misfit::Misfit;
use crate::db::dialect::{LockHolder, Obstacle};
use crate::db::error::DbError;
use crate::db::migrations::MigrationError;

/// Why `up` did not come to its end. But for [`UpError::Unknown`], nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// Something does not fit.
    #[error("{} of this schema {} not fit; nothing was changed", count(.0.len(), "part"), does(.0.len()))]
    Refused(Vec<Misfit>),
    /// This session lacks what it takes.
    #[error("nothing was changed: {}", lines(.0))]
    Obstacles(Vec<Obstacle>),
    /// The locks were not to be had.
    #[error(
        "nothing was changed: a lock was not to be had in {} ({source}){}", count(*.attempts as usize, "attempt"),
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
    /// The schema that came out is not the one that must come out: a bug, or an event trigger. Rolled back.
    #[error("rolled back, for the result does not fit (please report it): {}", lines(.0))]
    Unexpected(Vec<Misfit>),
    /// The connection was lost at COMMIT: the migrations are applied, all or none.
    #[error(
        "the connection was lost at COMMIT, so either all of it is done or nothing: sti-migrate status shows which, \
         and sti-migrate up may be run again in either case ({0})"
    )]
    Unknown(DbError),
    /// The database refused something.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The migrations failed.
    #[error(transparent)]
    Migration(MigrationError),
}

impl From<diesel::result::Error> for UpError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

impl From<MigrationError> for UpError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Db(error) => Self::Db(error),
            other => Self::Migration(other),
        }
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

const fn does(number: usize) -> &'static str {
    if number == 1 { "does" } else { "do" }
}

fn lines(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn held_by(holders: &[LockHolder]) -> String {
    if holders.is_empty() {
        return "; run the same command again when no other writer is at work".to_owned();
    }
    format!(
        ":\n{}\nend these transactions, or wait for their end, and run the same command again",
        lines(holders)
    )
}
