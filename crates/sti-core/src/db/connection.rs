//! One connection type for both backends, opened by URL.

use std::path::{Path, PathBuf};

use diesel::connection::{CacheSize, SimpleConnection as _};
use diesel::dsl::sql;
use diesel::sql_types::Text;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, SqliteConnection};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::url::DatabaseUrl;

pub use any::{AnyConnection, MultiBackend};

mod any {
    #![allow(missing_docs, reason = "the derive makes public items without a word")]

    use diesel::{PgConnection, SqliteConnection};

    /// A connection to either backend. The variants are open: a host that has a `PgConnection` can put it in.
    ///
    /// Open it with [`connect`](super::connect), never with `AnyConnection::establish`: the derived `establish` tries one backend
    /// after the other, and with PostgreSQL down it makes a SQLite file of the URL's name.
    #[derive(diesel::MultiConnection)]
    pub enum AnyConnection {
        /// PostgreSQL.
        Pg(PgConnection),
        /// SQLite.
        Sqlite(SqliteConnection),
    }
}

impl std::fmt::Debug for AnyConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pg(_) => "AnyConnection::Pg",
            Self::Sqlite(_) => "AnyConnection::Sqlite",
        })
    }
}

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only. SQLite files are opened read-only; on PostgreSQL everything that only reads does so in a READ ONLY
    /// transaction ([`read_snapshot`](super::read_snapshot)), and nothing about the session is changed.
    Read,
    /// Reads and writes. A SQLite file must exist.
    Write,
    /// Reads and writes; a SQLite file that does not exist is made, in WAL mode.
    Create,
}

/// Why a database could not be opened. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server did not take the connection.
    #[error("cannot connect to {target}: {reason}")]
    Unreachable {
        /// The target, as `DatabaseUrl` shows it.
        target: String,
        /// What the server or the client library said.
        reason: String,
    },
    /// The server's messages are in a language in which its errors cannot be told apart.
    #[error(
        "{target} tells its errors in another language (lc_messages is {language}), so a lock that passes could not be told \
         from a full disk; nothing was done. A superuser changes that for this role alone: ALTER ROLE \"{role}\" SET \
         lc_messages = 'C'"
    )]
    ForeignMessages {
        /// The target, as `DatabaseUrl` shows it.
        target: String,
        /// Its `lc_messages`.
        language: String,
        /// The role of the connection.
        role: String,
    },
    /// The SQLite file is not there.
    #[error(
        "SQLite file {} does not exist: check the path; `sti-migrate up --create` makes a new database",
        path.display()
    )]
    NoSuchFile {
        /// The file.
        path: PathBuf,
    },
    /// The SQLite file is there and cannot be used.
    #[error("cannot open SQLite file {}: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

/// Opens one connection.
///
/// PostgreSQL: the connection carries `application_name` unless the URL names one. It prepares no statement by name, so
/// that it also works through a proxy that gives each transaction another session (pgbouncer in transaction mode). A
/// host that speaks to the server itself may switch the cache on:
/// `connection.set_prepared_statement_cache_size(CacheSize::Unbounded)`. SQLite: foreign keys on, waits up to 5 s for a
/// lock; the journal mode of a file that exists is left as it is.
///
/// # Errors
/// [`ConnectError`] names the target and the reason.
pub fn connect(
    url: &DatabaseUrl,
    access: Access,
    application_name: &str,
) -> Result<AnyConnection, ConnectError> {
    match url.sqlite_path() {
        Some(path) => open_sqlite(path, access).map(AnyConnection::Sqlite),
        None => open_postgres(url, application_name).map(AnyConnection::Pg),
    }
}

fn open_postgres(url: &DatabaseUrl, application_name: &str) -> Result<PgConnection, ConnectError> {
    let libpq = url.libpq(application_name).unwrap_or_default();
    let mut connection = PgConnection::establish(&libpq).map_err(|e| ConnectError::Unreachable {
        target: url.to_string(),
        reason: url.redact(e.to_string().trim()),
    })?;
    connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    check_language(&mut connection, url)?;
    Ok(connection)
}

/// diesel tells a few kinds of errors apart and gives no SQLSTATE; all others are known by their English text
/// ([`Fault`](super::Fault)).
fn check_language(connection: &mut PgConnection, url: &DatabaseUrl) -> Result<(), ConnectError> {
    let target = url.to_string();
    let settings = sql::<(Text, Text)>("current_setting('lc_messages'), session_user::text");
    let (language, role): (String, String) =
        diesel::select(settings).get_result(connection).map_err(|e| ConnectError::Unreachable {
            target: target.clone(),
            reason: url.redact(e.to_string().trim()),
        })?;
    // A server that has no translation for its setting tells them in English all the same.
    let in_english = is_english(&language)
        || connection
            .batch_execute("SELECT 1 / 0")
            .is_err_and(|e| e.to_string().contains("division by zero"));
    if in_english { Ok(()) } else { Err(ConnectError::ForeignMessages { target, language, role }) }
}

fn is_english(locale: &str) -> bool {
    let language = locale.split(['_', '.', '@', '-']).next().unwrap_or_default();
    ["", "c", "posix", "en", "english"].contains(&language.to_ascii_lowercase().as_str())
}

/// What a `file:` URI of SQLite cannot hold as it is.
const URI_PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

fn open_sqlite(path: &Path, access: Access) -> Result<SqliteConnection, ConnectError> {
    let bad = |reason: String| ConnectError::BadFile { path: path.to_owned(), reason };
    let exists = path.try_exists().map_err(|e| bad(e.to_string()))?;
    if !exists && access != Access::Create {
        return Err(ConnectError::NoSuchFile { path: path.to_owned() });
    }
    let text = path.to_str().ok_or_else(|| bad("the path is not UTF-8".to_owned()))?;
    // SQLite takes `file:a/b` as an URI with the path a/b, and `file://a` as one with the host a.
    let text = if text.starts_with("//") { text.trim_start_matches('/') } else { text };
    let mode = match access {
        Access::Read => "ro",
        Access::Write => "rw",
        Access::Create => "rwc",
    };
    let uri = format!("file:{}?mode={mode}", utf8_percent_encode(text, URI_PATH));
    let mut connection = SqliteConnection::establish(&uri).map_err(|e| bad(e.to_string()))?;
    // The first statement that reads the file: it fails here if the file is no database.
    let setup = "PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; SELECT count(*) FROM sqlite_schema;";
    connection.batch_execute(setup).map_err(|e| bad(e.to_string()))?;
    if !exists {
        connection.batch_execute("PRAGMA journal_mode = WAL;").map_err(|e| bad(e.to_string()))?;
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_known_by_its_locale() {
        for english in
            ["", "C", "POSIX", "C.UTF-8", "C.utf8", "en_US.UTF-8", "en_GB", "English_United States.1252"]
        {
            assert!(is_english(english), "{english}");
        }
        for other in ["de_DE.UTF-8", "fr_FR@euro", "cs_CZ.utf8", "German_Germany.1252", "ca_ES"] {
            assert!(!is_english(other), "{other}");
        }
    }
}
