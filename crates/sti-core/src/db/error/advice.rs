//! The next step after an error that lies outside of the data: rights, room, a read-only place.

use super::{DbError, Fault};

impl DbError {
    /// What a person can do about it, where the message alone does not say so.
    #[must_use]
    pub fn next_step(&self) -> Option<&'static str> {
        let message = self.source.to_string();
        match self.fault() {
            Fault::ReadOnly if message.starts_with("attempt to write a readonly database") => Some(
                "the SQLite file or its folder is read-only for this user: change that, or copy the file",
            ),
            Fault::ReadOnly => Some("the server or the session takes no writes: name the primary in the URL"),
            _ => of_message(&message),
        }
    }
}

fn of_message(message: &str) -> Option<&'static str> {
    const TEXTS: [(&str, &str); 8] = [
        (
            "permission denied",
            "connect as the owner of the application's tables, or have it grant the privilege",
        ),
        ("must be owner", "connect as the owner of the application's tables"),
        ("cannot set transaction read-write mode", "the server is a standby: name the primary in the URL"),
        (
            "unable to open database file",
            "SQLite writes beside the file, too: the folder must be writable for this user",
        ),
        ("database or disk is full", "make room on the disk of the file and run the same command again"),
        (
            "disk I/O error",
            "the disk of the file is full or broken: look at it, then run the same command again",
        ),
        ("No space left on device", "make room on the disk of the server and run the same command again"),
        ("file is not a database", "the path names a file that is no SQLite database: check it"),
    ];
    TEXTS.iter().find(|(text, _)| message.contains(text)).map(|(_, step)| *step)
}

#[cfg(test)]
mod tests {
    use diesel::result::{DatabaseErrorKind, Error};

    use super::*;

    #[test]
    fn an_error_of_the_place_has_a_next_step_and_one_of_the_data_has_none() {
        let step = |message: &str| {
            let source = Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
            DbError { doing: "x".to_owned(), source }.next_step()
        };
        let full = "could not extend file \"base/1\": No space left on device";
        assert!(step(full).unwrap().contains("make room"));
        assert!(step("attempt to write a readonly database").unwrap().contains("read-only"));
        assert!(step("cannot execute CREATE TABLE in a read-only transaction").unwrap().contains("primary"));
        assert_eq!(step("value too long for type character varying(5)"), None);
    }
}
