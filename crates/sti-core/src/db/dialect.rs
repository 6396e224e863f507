//! What differs between the two backends. No other module matches on the backend.
//!
//! Placeholders do not differ: `$1`, `$2` … work on both, as long as their first appearances are in order.

use diesel::connection::SimpleConnection as _;
use diesel::{QueryResult, RunQueryDsl as _};
use std::time::Duration;

use super::connection::AnyConnection;
use super::sql_types::{DbTimestamp, Timestamp};
use super::url::Backend;

mod drop;
mod locks;
mod long_read;
mod privileges;
mod reading;
mod sessions;
mod stream;

pub use drop::{
    clock_minutes, commit_unflushed, give_permit, limit_locked, lock_all_within, lock_exclusively, not_owner,
    notice_lost_client, outwait_exclusive, storage, vacuum,
};
pub use locks::{Against, LockHolder, keep_columns, lock_against_writers, lock_holders, lock_schema};
pub(in crate::db) use long_read::ENDED;
pub use long_read::{
    Canceller, GO_ON, ReadTransaction, Standby, limit_statements, read_transaction, watch_rows,
};
pub use privileges::{MissingGrant, Obstacle, missing_grants, obstacles};
pub use reading::{Reading, best_reading, read_by_index, read_in_order};
pub use sessions::{MAX_SESSIONS, SessionSeen, sessions};
pub use stream::each_row;

/// The backend of an open connection.
#[must_use]
pub fn backend(connection: &AnyConnection) -> Backend {
    match connection {
        AnyConnection::Pg(_) => Backend::Postgres,
        AnyConnection::Sqlite(_) => Backend::Sqlite,
    }
}

impl Backend {
    /// The clause after a text expression that makes a comparison exact, byte by byte.
    #[must_use]
    pub const fn exact(self) -> &'static str {
        match self {
            Self::Postgres => r#"COLLATE "C""#,
            Self::Sqlite => "COLLATE BINARY",
        }
    }

    /// The clause at the end of a SELECT that locks its rows against every writer but lets foreign keys refer
    /// to them. Empty on SQLite, where a write transaction has the whole database.
    #[must_use]
    pub const fn lock_rows(self) -> &'static str {
        match self {
            Self::Postgres => "FOR NO KEY UPDATE",
            Self::Sqlite => "",
        }
    }

    /// [`Self::lock_rows`], passing over those that somebody else has locked.
    #[must_use]
    pub const fn lock_free_rows(self) -> &'static str {
        match self {
            Self::Postgres => "FOR NO KEY UPDATE SKIP LOCKED",
            Self::Sqlite => "",
        }
    }

    /// The clause at the end of a SELECT that locks its rows so that they can be deleted: against every writer
    /// and against foreign keys that would refer to them.
    #[must_use]
    pub const fn lock_rows_for_delete(self) -> &'static str {
        match self {
            Self::Postgres => "FOR UPDATE",
            Self::Sqlite => "",
        }
    }

    /// The moment at which the expression is evaluated, by the database's clock, in the column type of
    /// [`super::sql_types::DbTimestamp`].
    #[must_use]
    pub const fn now(self) -> &'static str {
        match self {
            Self::Postgres => "clock_timestamp()",
            Self::Sqlite => "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
        }
    }

    /// [`Self::now`] and some seconds more.
    #[must_use]
    pub fn now_plus(self, seconds: u64) -> String {
        match self {
            Self::Postgres => format!("clock_timestamp() + interval '{seconds} seconds'"),
            Self::Sqlite => format!("strftime('%Y-%m-%d %H:%M:%f000', 'now', '+{seconds} seconds')"),
        }
    }

    /// The function that makes a JSON object of names and values in turn.
    #[must_use]
    pub const fn json_object(self) -> &'static str {
        match self {
            Self::Postgres => "json_build_object",
            Self::Sqlite => "json_object",
        }
    }

    /// Whether a column of text refuses what is longer than its declared length.
    #[must_use]
    pub const fn enforces_length(self) -> bool {
        matches!(self, Self::Postgres)
    }

    /// Whether GROUP BY with few groups keeps only those, and need not sort every row.
    #[must_use]
    pub const fn groups_by_hash(self) -> bool {
        matches!(self, Self::Postgres)
    }

    /// SQL: joins the one row of `table` as `alias`, if there is one, for which `condition` over the alias `x` is true, on key
    /// columns. PostgreSQL looks each one up: a table that was just filled has no statistics, and the server would take
    /// all of it for a few rows and read it whole.
    #[must_use]
    pub fn left_join_one(self, table: &str, alias: &str, condition: &str) -> String {
        match self {
            Self::Postgres => format!(
                " LEFT JOIN LATERAL (SELECT * FROM {table} x WHERE {condition} LIMIT 1) {alias} ON TRUE"
            ),
            Self::Sqlite => {
                format!(" LEFT JOIN {table} {alias} ON {}", condition.replace("x.", &format!("{alias}.")))
            }
        }
    }

    /// Whether an UPDATE may stand inside `WITH` and feed an INSERT.
    #[must_use]
    pub const fn has_writing_ctes(self) -> bool {
        matches!(self, Self::Postgres)
    }

    pub(super) const fn begin_write(self) -> &'static str {
        match self {
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// The beginning of a transaction over a range of keys: [`Self::begin_write`], [`limit_transaction`], and
    /// [`read_by_index`] or [`read_in_order`], in one message to the server.
    pub(super) fn begin_limited(self, limits: Limits, reading: Reading) -> String {
        match self {
            Self::Postgres => {
                format!("{}; {}; {}", self.begin_write(), limits.set_local(), reading.set_local())
            }
            Self::Sqlite => self.begin_write().to_owned(),
        }
    }

    /// The beginning of a transaction that writes nothing but what a later commit makes worth something: it does not
    /// wait for the disk. (The log is flushed in order: a later commit that is on the disk has this one before it.) It
    /// holds a lock that others wait for, so it waits no longer than 1 s for the next one.
    pub(super) const fn begin_unflushed(self) -> &'static str {
        match self {
            Self::Postgres => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = off; \
                 SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '30s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '10s'"
            }
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// The beginning of a snapshot in which something is written, too.
    pub(super) const fn begin_writing_snapshot(self) -> &'static str {
        match self {
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// Whether writers go on while a drop of the legacy columns compares and archives: it keeps a log of what they
    /// write, and takes its lock at the end. On SQLite a transaction that writes has the whole database anyway.
    #[must_use]
    pub const fn works_ahead_of_locks(self) -> bool {
        matches!(self, Self::Postgres)
    }

    pub(super) const fn begin_snapshot(self) -> &'static str {
        match self {
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Sqlite => "BEGIN DEFERRED",
        }
    }

    /// [`Self::begin_snapshot`] for what reads whole tables: a limit that the role has for its statements does not end it,
    /// and it waits no longer than 1 s for a lock.
    pub(super) const fn begin_count(self) -> &'static str {
        match self {
            Self::Postgres => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '1s'; \
                 SET LOCAL statement_timeout = 0"
            }
            Self::Sqlite => self.begin_snapshot(),
        }
    }
}

/// How long the statements of one transaction may wait and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest wait for one lock.
    pub lock: Duration,
    /// The longest run of one statement. PostgreSQL only.
    pub statement: Duration,
}

impl Limits {
    fn set_local(self) -> String {
        format!(
            "SET LOCAL lock_timeout = '{}ms'; SET LOCAL statement_timeout = '{}ms'; \
             SET LOCAL idle_in_transaction_session_timeout = '10s'",
            self.lock.as_millis().max(1),
            self.statement.as_millis().max(1),
        )
    }
}

/// Sets `limits` for the transaction that is open.
///
/// PostgreSQL: `SET LOCAL`, with 10 s for an idle transaction, so that a frozen client frees its locks.
/// SQLite: the busy timeout of the connection, which also counts for the next BEGIN.
///
/// # Errors
/// Whatever the database says.
pub fn limit_transaction(connection: &mut AnyConnection, limits: Limits) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute(&limits.set_local()),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Checks the deferred constraints of what the transaction has done so far, and from here on at once. Nothing on
/// SQLite, which checks them at COMMIT and cannot be asked before.
///
/// # Errors
/// What a constraint says, or the database.
pub fn check_deferred(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute("SET CONSTRAINTS ALL IMMEDIATE"),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// The server's `deadlock_timeout`: who waits longer than this for a lock may be made the victim, or make the
/// application's session one. `None` on SQLite.
///
/// # Errors
/// Whatever the database says.
pub fn deadlock_timeout(connection: &mut AnyConnection) -> QueryResult<Option<Duration>> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        ms: i64,
    }
    match connection {
        AnyConnection::Pg(c) => {
            let sql = "SELECT setting::bigint AS ms FROM pg_settings WHERE name = 'deadlock_timeout'";
            let row: Row = diesel::sql_query(sql).get_result(c)?;
            Ok(Some(Duration::from_millis(row.ms.unsigned_abs())))
        }
        AnyConnection::Sqlite(_) => Ok(None),
    }
}

/// The longest wait for one lock, at most `longest`: below half of the server's `deadlock_timeout`. Who waits that
/// long makes the server look for a deadlock, and its victim may be the application's session.
///
/// # Errors
/// Whatever the database says.
pub fn lock_limit(connection: &mut AnyConnection, longest: Duration) -> QueryResult<Duration> {
    let deadlock = deadlock_timeout(connection)?;
    Ok(deadlock.map_or(longest, |deadlock| longest.min(deadlock.mul_f64(0.45))))
}

/// Gives a SQLite connection that reads and writes much a page cache of 48 MiB: with the 2 MiB that it begins with, each
/// pass over a chunk reads the pages anew. A cache that stays small costs time and nothing else. Nothing on PostgreSQL,
/// where the server has the cache.
pub fn enlarge_cache(connection: &mut AnyConnection) {
    if let AnyConnection::Sqlite(c) = connection {
        let _ = c.batch_execute("PRAGMA cache_size = -49152");
    }
}

/// The database's clock.
///
/// # Errors
/// Whatever the database says.
pub fn clock(connection: &mut AnyConnection) -> QueryResult<Timestamp> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbTimestamp)]
        now: Timestamp,
    }
    let sql = format!("SELECT {} AS now", backend(connection).now());
    diesel::sql_query(sql).get_result(connection).map(|row: Row| row.now)
}

/// The isolation level of the open transaction, where it is one in which a statement does not see what others have
/// committed since the transaction began to look: `repeatable read` or `serializable` on PostgreSQL. `None` at READ
/// COMMITTED, and on SQLite, where one writer has the whole database.
///
/// # Errors
/// Whatever the database says.
pub fn frozen_isolation(connection: &mut AnyConnection) -> QueryResult<Option<String>> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        level: String,
    }
    match connection {
        AnyConnection::Pg(c) => {
            let sql = "SELECT current_setting('transaction_isolation') AS level";
            let row: Row = diesel::sql_query(sql).get_result(c)?;
            Ok(Some(row.level).filter(|level| !level.starts_with("read ")))
        }
        AnyConnection::Sqlite(_) => Ok(None),
    }
}
