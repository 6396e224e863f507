//! What the drop of the legacy columns asks of each backend: its locks, its permit, its clock.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel::{OptionalExtension as _, QueryResult, RunQueryDsl as _};
use std::time::Duration;

use super::Obstacle;
use crate::db::connection::AnyConnection;

/// Locks `tables` against everybody, readers included, in one statement: a table that is locked later, or a lock that
/// is strengthened, makes a deadlock of which an innocent session may be the victim. Nothing on SQLite, where the
/// write transaction has the whole database.
///
/// # Errors
/// A lock timeout, or whatever the database says.
pub fn lock_exclusively(connection: &mut AnyConnection, tables: &[&str]) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => {
            c.batch_execute(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", ")))
        }
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// [`lock_exclusively`], waiting for all of the tables together no longer than about `longest`, and limiting the
/// transaction to `limits` from then on. A wait that takes too long ends in a lock timeout or, where several tables
/// were waited for in turn, in a statement timeout.
///
/// # Errors
/// A lock timeout, a statement timeout, or whatever the database says.
pub fn lock_all_within(
    connection: &mut AnyConnection,
    tables: &[&str],
    longest: Duration,
) -> QueryResult<()> {
    let AnyConnection::Pg(c) = connection else { return Ok(()) };
    // The lock timeout starts anew with each table; the other one is for all of them.
    let one = longest.as_millis().max(1);
    let all = one + (one / 10).max(1);
    c.batch_execute(&format!(
        "SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL lock_timeout = '{one}ms'; \
         SET LOCAL statement_timeout = '{all}ms'"
    ))?;
    lock_exclusively(connection, tables)
}

/// Limits the rest of the open transaction, which holds locks: each statement to `statement`, and each rest of the client
/// between two of them to `idle`, or the session is ended and its locks with it. Nothing on SQLite.
///
/// # Errors
/// Whatever the database says.
pub fn limit_locked(connection: &mut AnyConnection, statement: Duration, idle: Duration) -> QueryResult<()> {
    match connection {
        // 0 would mean no limit.
        AnyConnection::Pg(c) => c.batch_execute(&format!(
            "SET LOCAL statement_timeout = '{}ms'; SET LOCAL idle_in_transaction_session_timeout = '{}ms'",
            statement.as_millis().max(1),
            idle.as_millis().max(1)
        )),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Lets the server notice within a second, until the transaction ends, that its client is gone, also in the middle of
/// a statement that runs for hours. Where the server cannot, it notices at the end of the statement. Nothing on SQLite.
///
/// # Errors
/// Whatever the database says.
pub fn notice_lost_client(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute(
            "DO $sti$ BEGIN SET LOCAL client_connection_check_interval = '1s'; \
             EXCEPTION WHEN OTHERS THEN NULL; END $sti$",
        ),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Lets the transaction that is open commit without waiting for the disk: for what is only worth something once a later
/// transaction has committed, which has this one on the disk before it. Nothing on SQLite.
///
/// # Errors
/// Whatever the database says.
pub fn commit_unflushed(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute("SET LOCAL synchronous_commit = off"),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Where the rows of `tables` are stored: a text that changes when one of them is emptied or written anew, which no
/// trigger for rows tells of. Empty on SQLite.
///
/// # Errors
/// Whatever the database says.
pub fn storage(connection: &mut AnyConnection, tables: &[&str]) -> QueryResult<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        storage: String,
    }
    let AnyConnection::Pg(connection) = connection else { return Ok(String::new()) };
    let sql = "SELECT COALESCE(string_agg(c.oid || ' ' || pg_relation_filenode(c.oid), ', ' ORDER BY c.oid), '') \
                   AS storage \
               FROM unnest($1) t JOIN pg_class c ON c.oid = to_regclass(t)";
    let row: Row = diesel::sql_query(sql).bind::<Array<Text>, _>(tables).get_result(connection)?;
    Ok(row.storage)
}

/// Gives the room of deleted rows of `table` back, without a lock that anybody who reads or writes it waits for; leaves it
/// if somebody else is at that. Not inside a transaction. Nothing on SQLite.
///
/// # Errors
/// Whatever the database says.
pub fn vacuum(connection: &mut AnyConnection, table: &str) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute(&format!("VACUUM (TRUNCATE false, SKIP_LOCKED) {table}")),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Waits, at most `longest`, until no transaction holds the locks of [`lock_exclusively`]: one whose connection was
/// lost may still be on its way to its end.
///
/// # Errors
/// A lock timeout, or whatever the database says.
pub fn outwait_exclusive(
    connection: &mut AnyConnection,
    tables: &[&str],
    longest: Duration,
) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute(&format!(
            "SET LOCAL lock_timeout = '{}ms'; LOCK TABLE {} IN ACCESS SHARE MODE",
            longest.as_millis().max(1),
            tables.join(", "),
        )),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Gives the transaction that is open the permit that the drop's migration asks for and consumes. It cannot be
/// committed. The scripts of the migration say how each half of it works.
///
/// # Errors
/// Whatever the database says.
pub fn give_permit(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => {
            c.batch_execute("INSERT INTO sti_drop_permit (transaction) VALUES (pg_current_xact_id()::text)")
        }
        AnyConnection::Sqlite(c) => c.batch_execute(
            "CREATE TEMP TABLE sti_drop_guard (permitted integer); \
             INSERT INTO main.sti_drop_permit (\"transaction\") VALUES ('this one')",
        ),
    }
}

/// Minutes since 1970 by the database's clock, so that two machines agree on the age of something.
///
/// # Errors
/// Whatever the database says.
pub fn clock_minutes(connection: &mut AnyConnection) -> QueryResult<i64> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        minutes: i64,
    }
    let sql = match connection {
        AnyConnection::Pg(_) => "SELECT floor(EXTRACT(EPOCH FROM clock_timestamp()) / 60)::bigint AS minutes",
        AnyConnection::Sqlite(_) => "SELECT CAST(strftime('%s', 'now') AS bigint) / 60 AS minutes",
    };
    let row: Row = diesel::sql_query(sql).get_result(connection)?;
    Ok(row.minutes)
}

/// Why this role may not change the columns of `table`; `None` when it may, or there is no such table.
///
/// # Errors
/// Whatever the database says.
pub fn not_owner(connection: &mut AnyConnection, table: &str) -> QueryResult<Option<Obstacle>> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        role: String,
        #[diesel(sql_type = Text)]
        owner: String,
        #[diesel(sql_type = Bool)]
        owns: bool,
    }
    let AnyConnection::Pg(connection) = connection else { return Ok(None) };
    let sql = "SELECT quote_ident(current_user) AS role, quote_ident(pg_get_userbyid(relowner)) AS owner, \
                      pg_has_role(current_user, relowner, 'USAGE') AS owns \
               FROM pg_class WHERE oid = to_regclass($1)";
    let row: Option<Row> = diesel::sql_query(sql).bind::<Text, _>(table).get_result(connection).optional()?;
    Ok(row.filter(|row| !row.owns).map(|Row { role, owner, .. }| Obstacle::NotOwner {
        role,
        owner,
        table: table.to_owned(),
    }))
}
