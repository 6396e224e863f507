//! What a database error means for the work at hand. diesel exposes no SQLSTATE, so errors are told apart by
//! kind and message, here and nowhere else.

use diesel::result::{DatabaseErrorKind, Error};

mod quotes;

pub use quotes::{error_may_quote_values, may_quote_values, quoting_words};

/// A database error together with what was being done. Its `Display` ends with the next step where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}{}", self.fault().next_step())]
pub struct DbError {
    /// What was being done, as in "reading the ledger".
    pub doing: String,
    /// What the database said.
    pub source: Error,
}

impl DbError {
    /// What this error means for the work at hand.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::of(&self.source)
    }
}

/// A transaction's own statements (BEGIN, COMMIT) have no better name.
impl From<Error> for DbError {
    fn from(source: Error) -> Self {
        Self { doing: "running the transaction".to_owned(), source }
    }
}

/// Names what was being done when a query failed.
pub trait Doing<T> {
    /// Wraps the error with `what`, a phrase like "locking chunk 17".
    ///
    /// # Errors
    /// The same error, with `what` before it.
    fn doing(self, what: impl Into<String>) -> Result<T, DbError>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, what: impl Into<String>) -> Result<T, DbError> {
        self.map_err(|source| DbError { doing: what.into(), source })
    }
}

/// The classes of error that the engines tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One row's values caused it: a constraint, a value too long, invalid data.
    Row,
    /// A deadlock or a serialization failure: run the transaction again.
    Transient,
    /// A lock was not to be had in time.
    LockTimeout,
    /// A statement ran longer than its limit.
    StatementTimeout,
    /// The connection is gone, or the server is shutting down or starting.
    ConnectionLost,
    /// The server, the transaction or the file takes no writes.
    ReadOnly,
    /// Somebody cancelled the statement.
    Cancelled,
    /// A standby had to replay something that the statement stood in the way of.
    StandbyConflict,
    /// The disk, or the quota, is full.
    DiskFull,
    /// The role may not do this.
    PermissionDenied,
    /// Anything else, the unknown included: a missing column, a bug.
    Other,
}

impl Fault {
    /// The word for it, as in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Transient => "transient",
            Self::LockTimeout => "lock_timeout",
            Self::StatementTimeout => "statement_timeout",
            Self::ConnectionLost => "connection_lost",
            Self::ReadOnly => "read_only",
            Self::Cancelled => "cancelled",
            Self::StandbyConflict => "standby_conflict",
            Self::DiskFull => "disk_full",
            Self::PermissionDenied => "permission_denied",
            Self::Other => "other",
        }
    }

    /// Sorts an error by diesel's kind, and by its message where the kind says nothing. The messages are those of
    /// a server with `lc_messages` C or English (`connect` refuses another one), and of SQLite.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let Error::DatabaseError(kind, information) = error else {
            return match error {
                Error::BrokenTransactionManager => Self::ConnectionLost,
                // A COMMIT that failed, and the ROLLBACK behind it too.
                Error::RollbackErrorOnCommit { commit_error, .. } => Self::of(commit_error),
                _ => Self::Other,
            };
        };
        // Its SQLSTATE is that of a serialization failure; but run again at once, it would stand in the way again.
        if information.message().contains("due to conflict with recovery") {
            return Self::StandbyConflict;
        }
        match kind {
            DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::ExclusionViolation => Self::Row,
            DatabaseErrorKind::SerializationFailure => Self::Transient,
            DatabaseErrorKind::ReadOnlyTransaction => Self::ReadOnly,
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                Self::ConnectionLost
            }
            _ => Self::of_message(information.message()),
        }
    }

    /// What [`Self::row_class`] answers.
    pub const ROW_CLASSES: [&str; 6] = [
        "check_violation",
        "data_exception",
        "exclusion_violation",
        "foreign_key_violation",
        "not_null_violation",
        "unique_violation",
    ];

    /// The kind of rule that a row broke, as PostgreSQL names it in its list of error codes; for [`Fault::Row`].
    #[must_use]
    pub const fn row_class(error: &Error) -> &'static str {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => "unique_violation",
            Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => "foreign_key_violation",
            Error::DatabaseError(DatabaseErrorKind::NotNullViolation, _) => "not_null_violation",
            Error::DatabaseError(DatabaseErrorKind::CheckViolation, _) => "check_violation",
            Error::DatabaseError(DatabaseErrorKind::ExclusionViolation, _) => "exclusion_violation",
            _ => "data_exception",
        }
    }

    /// What to do about it, as the end of a message; empty where it depends.
    fn next_step(self) -> &'static str {
        match self {
            Self::ReadOnly => {
                "; the database takes no writes: check the permissions of the file and its folder, or name the primary server"
            }
            Self::DiskFull => "; check the free space, the quota and the health of the disk",
            Self::PermissionDenied => "; use the role that owns the tables, or grant this one what it needs",
            Self::ConnectionLost => "; check that the server is up",
            Self::StandbyConflict => {
                "; run it again, or on the primary; on this standby hot_standby_feedback = on keeps such conflicts \
                 away, and a greater max_standby_streaming_delay gives a statement more time"
            }
            _ => "",
        }
    }

    fn of_message(message: &str) -> Self {
        const TEXTS: [(&str, Fault); 29] = [
            ("deadlock detected", Fault::Transient),
            ("could not serialize access", Fault::Transient),
            ("canceling statement due to lock timeout", Fault::LockTimeout),
            ("could not obtain lock on", Fault::LockTimeout),
            ("database is locked", Fault::LockTimeout),
            ("database table is locked", Fault::LockTimeout),
            ("canceling statement due to statement timeout", Fault::StatementTimeout),
            ("canceling statement due to user request", Fault::Cancelled),
            (super::dialect::ENDED, Fault::Cancelled),
            ("terminating connection", Fault::ConnectionLost),
            ("server closed the connection unexpectedly", Fault::ConnectionLost),
            ("the database system is", Fault::ConnectionLost),
            ("no connection to the server", Fault::ConnectionLost),
            ("could not receive data from server", Fault::ConnectionLost),
            ("SSL connection has been closed", Fault::ConnectionLost),
            ("attempt to write a readonly database", Fault::ReadOnly),
            ("cannot execute ", Fault::ReadOnly),
            // A standby that is asked for BEGIN READ WRITE.
            ("cannot set transaction read-write mode", Fault::ReadOnly),
            // SQLite in a folder in which it may not make its journal.
            ("unable to open database file", Fault::ReadOnly),
            ("database or disk is full", Fault::DiskFull),
            // What SQLite says of every failed write, a quota's EFBIG and EDQUOT included.
            ("disk I/O error", Fault::DiskFull),
            ("could not extend file", Fault::DiskFull),
            ("could not write to file", Fault::DiskFull),
            ("permission denied", Fault::PermissionDenied),
            ("must be owner of", Fault::PermissionDenied),
            ("value too long for type", Fault::Row),
            ("invalid input syntax for", Fault::Row),
            ("invalid byte sequence for encoding", Fault::Row),
            ("CHECK constraint failed", Fault::Row),
        ];
        TEXTS.iter().find(|(text, _)| message.starts_with(text)).map_or(Self::Other, |(_, fault)| *fault)
    }
}
