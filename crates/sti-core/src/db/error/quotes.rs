//! Which words of a database may quote the values of a row. What a log may hold is decided by this, so what is not known
//! to be free of values counts as quoting them.

use diesel::result::Error;

/// How the messages begin that name tables, columns, constraints and sessions, and never a value. (The values of a row
/// that breaks a constraint are in a detail, which diesel keeps apart.)
const SAFE: [&str; 41] = [
    "deadlock detected",
    "could not serialize access",
    "canceling statement due to",
    "could not obtain lock on",
    "database is locked",
    "database table is locked",
    "terminating connection",
    "server closed the connection unexpectedly",
    "server conn crashed",
    "the database system is",
    "no connection to the server",
    "could not receive data from server",
    "SSL connection has been closed",
    "connection to server",
    "attempt to write a readonly database",
    "cannot execute ",
    "cannot set transaction read-write mode",
    "unable to open database file",
    "database or disk is full",
    "disk I/O error",
    "could not extend file",
    "could not write to file",
    "file is not a database",
    "database disk image is malformed",
    "permission denied",
    "must be owner of",
    "no such table",
    "no such column",
    "relation ",
    "column ",
    "value too long for type",
    "duplicate key value violates unique constraint",
    "null value in column",
    "insert or update on table",
    "update or delete on table",
    "new row for relation",
    "conflicting key value violates exclusion constraint",
    "CHECK constraint failed",
    "UNIQUE constraint failed",
    "NOT NULL constraint failed",
    "FOREIGN KEY constraint failed",
];

/// Whether a database's message may quote values of a row. Only its beginning tells: what stands further on may itself be
/// a value.
#[must_use]
pub fn may_quote_values(message: &str) -> bool {
    !SAFE.iter().any(|safe| message.starts_with(safe))
}

/// [`may_quote_values`] for an error of ours: the message stands alone, or behind what was being done and a colon.
#[must_use]
pub fn error_may_quote_values(text: &str) -> bool {
    may_quote_values(text) && text.split_once(": ").is_none_or(|(_, message)| may_quote_values(message))
}

/// The database's own words in an error, or in what caused it, if they may quote values of a row.
#[must_use]
pub fn quoting_words(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<Error>() {
            return words(error).filter(|words| may_quote_values(words));
        }
        next = error.source();
    }
    None
}

fn words(error: &Error) -> Option<String> {
    match error {
        Error::DatabaseError(_, information) => Some(information.message().to_owned()),
        Error::RollbackErrorOnCommit { commit_error, .. } => words(commit_error),
        Error::DeserializationError(error) | Error::SerializationError(error) => Some(error.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::error::Doing as _;
    use diesel::result::DatabaseErrorKind::{CheckViolation, Unknown};

    fn says(kind: diesel::result::DatabaseErrorKind, message: &str) -> Option<String> {
        let error: Result<(), Error> = Err(Error::DatabaseError(kind, Box::new(message.to_owned())));
        quoting_words(&error.doing("locking chunk 3").unwrap_err())
    }

    #[test]
    fn what_a_constraint_says_names_no_value() {
        let message = "new row for relation \"projects_schoolproject\" violates check constraint \"short\"";
        assert_eq!(says(CheckViolation, message), None);
        assert!(!error_may_quote_values(&format!("locking chunk 3: {message}")));
        assert_eq!(says(Unknown, "value too long for type character varying(50)"), None);
    }

    #[test]
    fn what_is_not_known_may_quote_anything() {
        for message in [
            "invalid input syntax for type date: \"Zoölogie\"",
            "course ZOO-1 is not allowed here",
            // The value, or what a trigger says behind a colon, begins like a message that is known.
            "invalid input syntax for type integer: \"Zoölogie: relation of species\"",
            "Zoölogie: permission denied",
        ] {
            assert_eq!(says(Unknown, message).as_deref(), Some(message));
            assert!(may_quote_values(message));
            assert!(error_may_quote_values(&format!("locking chunk 3: {message}")));
        }
    }

    #[test]
    fn an_error_of_ours_quotes_nothing() {
        assert_eq!(quoting_words(&std::fmt::Error), None);
    }
}
