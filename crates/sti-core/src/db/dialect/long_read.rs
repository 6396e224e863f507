//! What a long read needs: to be one moment's truth, to be ended from outside, and to say where it reads.

use diesel::connection::SimpleConnection as _;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Bool, Nullable};
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, RunQueryDsl as _};
use std::panic::UnwindSafe;
use std::time::Duration;

use crate::db::connection::AnyConnection;
use crate::db::sql_types::{DbTimestamp, Timestamp};

/// The greatest `statement_timeout` of PostgreSQL: 24 days.
const LONGEST_TIMEOUT_MS: u128 = i32::MAX as u128;

/// What SQLite says of a statement that [`watch_rows`] has ended.
pub(in crate::db) const ENDED: &str = "ended by sti_go_on()";

/// SQL: a condition of SQLite that is true of every row until the one who watches says no; see [`watch_rows`].
pub const GO_ON: &str = "sti_go_on()";

/// An open transaction that reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadTransaction {
    /// Whether all of its statements see the same snapshot.
    pub is_snapshot: bool,
    /// How its statements can be cancelled; `None` on SQLite.
    pub canceller: Option<Canceller>,
    /// Set if the server is a standby.
    pub standby: Option<Standby>,
}

/// A standby (read replica) of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standby {
    /// When the last transaction that it has replayed was committed on the primary; `None` if there was none since
    /// it started. What has been committed there later is not seen.
    pub replayed: Option<Timestamp>,
}

/// A transaction of PostgreSQL whose statements another connection can cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canceller {
    pid: i64,
    /// Behind a proxy the server process may belong to somebody else a moment later.
    begun_us: i64,
}

/// What the open transaction is.
///
/// # Errors
/// Whatever the database says.
pub fn read_transaction(connection: &mut AnyConnection) -> QueryResult<ReadTransaction> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        is_snapshot: bool,
        #[diesel(sql_type = BigInt)]
        pid: i64,
        #[diesel(sql_type = BigInt)]
        begun_us: i64,
        #[diesel(sql_type = Bool)]
        is_standby: bool,
        #[diesel(sql_type = Nullable<DbTimestamp>)]
        replayed: Option<Timestamp>,
    }
    let AnyConnection::Pg(connection) = connection else {
        return Ok(ReadTransaction { is_snapshot: true, canceller: None, standby: None });
    };
    let row: Row = diesel::sql_query(
        "SELECT current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AS is_snapshot, \
                pg_backend_pid()::bigint AS pid, (EXTRACT(EPOCH FROM now()) * 1000000)::bigint AS begun_us, \
                pg_is_in_recovery() AS is_standby, \
                CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END AS replayed",
    )
    .get_result(connection)?;
    Ok(ReadTransaction {
        is_snapshot: row.is_snapshot,
        canceller: Some(Canceller { pid: row.pid, begun_us: row.begun_us }),
        standby: row.is_standby.then_some(Standby { replayed: row.replayed }),
    })
}

impl Canceller {
    /// Cancels the statement that runs in that transaction, from another connection of the same role; nothing if the
    /// transaction has ended, or no statement runs.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn cancel(self, connection: &mut AnyConnection) -> QueryResult<()> {
        let sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $1 \
                   AND (EXTRACT(EPOCH FROM xact_start) * 1000000)::bigint = $2";
        diesel::sql_query(sql)
            .bind::<BigInt, _>(self.pid)
            .bind::<BigInt, _>(self.begun_us)
            .execute(connection)
            .map(drop)
    }
}

/// Sets the longest run of each of the next statements of the open transaction. PostgreSQL only; on SQLite
/// [`watch_rows`] ends them.
///
/// # Errors
/// Whatever the database says.
pub fn limit_statements(connection: &mut AnyConnection, longest: Duration) -> QueryResult<()> {
    match connection {
        // Rounded up: a statement that ends a moment early would not have had its time. 0 would mean no limit.
        AnyConnection::Pg(c) => {
            let ms = longest.as_micros().div_ceil(1000).clamp(1, LONGEST_TIMEOUT_MS);
            c.batch_execute(&format!("SET LOCAL statement_timeout = {ms}"))
        }
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Makes every statement of this connection that has [`GO_ON`] as a condition of each row fail as soon as `go_on` says
/// no; it is asked at every 256th row. Whether there is such a condition: not on PostgreSQL, whose statements are
/// cancelled from outside.
///
/// # Errors
/// Whatever the database says.
pub fn watch_rows(
    connection: &mut AnyConnection,
    mut go_on: impl FnMut() -> bool + UnwindSafe + Send + 'static,
) -> QueryResult<bool> {
    let AnyConnection::Sqlite(connection) = connection else { return Ok(false) };
    let mut rows = 0_u8;
    let asked = move || {
        rows = rows.wrapping_add(1);
        GoOn(rows != 1 || go_on())
    };
    sti_go_on_utils::register_nondeterministic_impl(connection, asked)?;
    Ok(true)
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// See [`watch_rows`].
    fn sti_go_on() -> BigInt;
}

/// The value of [`sti_go_on`]: 1, or an error.
#[derive(Debug)]
struct GoOn(bool);

impl ToSql<BigInt, Sqlite> for GoOn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        if !self.0 {
            return Err(ENDED.into());
        }
        out.set_value(1_i64);
        Ok(IsNull::No)
    }
}
