//! Why a verification could not be made.

use std::time::Duration;

use crate::db::DbError;
use crate::mapping::LEGACY_COLUMNS;

/// Why a verification ended before it had its answer. The same one may well have it another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// Its time was over.
    #[error("the time limit of {} s ran out", .0.as_secs_f64())]
    TimeLimit(Duration),
    /// The signal was set.
    #[error("it was asked to stop")]
    Asked,
    /// Somebody else cancelled the statement on the server.
    #[error("somebody cancelled it on the server")]
    Cancelled,
    /// The server is a standby, which had to replay what the snapshot stood in the way of.
    #[error("this standby had to replay a change that the snapshot stood in the way of")]
    StandbyConflict,
}

impl Unfinished {
    const fn next_step(self) -> &'static str {
        match self {
            Self::TimeLimit(_) => "Give it more time",
            Self::Asked | Self::Cancelled => "Run it again",
            Self::StandbyConflict => {
                "Run it again, or on the primary; on the standby hot_standby_feedback = on keeps such conflicts away, \
                 and a greater max_standby_streaming_delay gives a statement more time"
            }
        }
    }
}

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
    /// It was called inside a transaction in which each statement sees another moment.
    #[error(
        "a verification reads one moment: the transaction that is open is READ COMMITTED; begin it as REPEATABLE \
         READ, or call it outside of one"
    )]
    NoSnapshot,
    /// It ended before it had its answer. Nothing is known: neither that both sides agree nor that they do not.
    #[error(
        "not finished: {why}{}; nothing is known, neither that both sides agree nor that they do not. {}",
        .doing.as_ref().map(|doing| format!(" while {doing}")).unwrap_or_default(),
        .why.next_step()
    )]
    Unfinished {
        /// Why.
        why: Unfinished,
        /// What it was doing; `None` between two statements.
        doing: Option<String>,
    },
    /// The server's own `statement_timeout` ended a statement.
    #[error(
        "{doing} took longer than the statement_timeout that this server has for this role: \
         give it a time of its own (sti-verify --max-seconds N)"
    )]
    ServerLimit {
        /// What took so long.
        doing: String,
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
