//! Locks on tables: who may change the schema, and who stands in the way.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel::{QueryResult, RunQueryDsl as _};
use std::fmt;
use std::time::Duration;

use crate::db::connection::AnyConnection;

/// The two halves of the advisory lock of `sti-migrate`: `sti` in ASCII, and the purpose.
const SCHEMA_LOCK: (i32, i32) = (0x0073_7469, 1);

/// Waits until no other `sti-migrate` changes the schema, and keeps it so until the transaction ends: an advisory
/// lock on PostgreSQL; on SQLite the write transaction itself has the whole database.
///
/// # Errors
/// A lock timeout, or whatever the database says.
pub fn lock_schema(connection: &mut AnyConnection) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => {
            let (space, key) = SCHEMA_LOCK;
            c.batch_execute(&format!("SELECT pg_advisory_xact_lock({space}, {key})"))
        }
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Keeps `table` as it is until the transaction ends: whoever would change its columns waits (ACCESS SHARE; readers and
/// writers go on). Nothing on SQLite, where the write transaction has the whole database.
///
/// # Errors
/// A lock timeout, or whatever the database says.
pub fn keep_columns(connection: &mut AnyConnection, table: &str) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => c.batch_execute(&format!("LOCK TABLE {table} IN ACCESS SHARE MODE")),
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// Locks `tables` against writers, in one statement; readers go on. What a trigger that comes needs. Nothing on SQLite,
/// where the write transaction has the whole database.
///
/// # Errors
/// A lock timeout, or whatever the database says.
pub fn lock_against_writers(connection: &mut AnyConnection, tables: &[&str]) -> QueryResult<()> {
    match connection {
        AnyConnection::Pg(c) => {
            c.batch_execute(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", tables.join(", ")))
        }
        AnyConnection::Sqlite(_) => Ok(()),
    }
}

/// What a lock is wanted for, and which locks of others therefore stand in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// A new foreign key to the table (SHARE ROW EXCLUSIVE): readers do not stand in its way.
    Writers,
    /// A change of the table itself (ACCESS EXCLUSIVE): everybody does.
    Everybody,
}

/// A session whose lock stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The server process; `None` for a prepared transaction.
    pub pid: Option<i64>,
    /// What the session calls itself, or the kind of process; may be empty.
    pub application: String,
    /// `active`, `idle in transaction` …; empty when this role may not see it.
    pub state: String,
    /// How long its transaction has been open, where this role may see it.
    pub age: Option<Duration>,
    /// What is locked: a table, or the schema as a whole by another `sti-migrate`.
    pub on: String,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid}")?,
            None => f.write_str("a prepared transaction")?,
        }
        if !self.application.is_empty() {
            write!(f, " ({})", self.application)?;
        }
        write!(f, " holds a lock on {}", self.on)?;
        if !self.state.is_empty() {
            write!(f, ", {}", self.state)?;
        }
        match self.age {
            Some(age) => write!(f, ", in a transaction of {:.0} s", age.as_secs_f64()),
            None => Ok(()),
        }
    }
}

/// The sessions of this database that hold, at this moment, a lock on one of `tables` that stands in the way, or the
/// lock of [`lock_schema`]. Empty on SQLite, which does not say who holds its lock.
///
/// # Errors
/// Whatever the database says.
pub fn lock_holders(
    connection: &mut AnyConnection,
    tables: &[&str],
    against: Against,
) -> QueryResult<Vec<LockHolder>> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<BigInt>)]
        pid: Option<i64>,
        #[diesel(sql_type = Text)]
        application: String,
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(sql_type = Nullable<BigInt>)]
        age_ms: Option<i64>,
        #[diesel(sql_type = Text)]
        locked: String,
    }
    let AnyConnection::Pg(connection) = connection else { return Ok(Vec::new()) };
    let (space, key) = SCHEMA_LOCK;
    // SHARE ROW EXCLUSIVE conflicts with every mode but the three weakest, ACCESS EXCLUSIVE with all but the last.
    let harmless = match against {
        Against::Writers => "'AccessShareLock', 'RowShareLock', 'SIReadLock'",
        Against::Everybody => "'SIReadLock'",
    };
    let sql = format!(
        "SELECT DISTINCT l.pid::bigint AS pid, \
                COALESCE(NULLIF(a.application_name, ''), NULLIF(a.backend_type, 'client backend'), '') \
                    AS application, \
                COALESCE(a.state, '') AS state, \
                (EXTRACT(EPOCH FROM clock_timestamp() - a.xact_start) * 1000)::bigint AS age_ms, \
                COALESCE(c.relname::text, 'the schema (another sti-migrate)') AS locked \
         FROM pg_locks l \
         LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation \
         WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() \
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND ((l.locktype = 'relation' AND l.relation IN (SELECT to_regclass(t) FROM unnest($1) t) \
                 AND l.mode NOT IN ({harmless})) \
             OR (l.locktype = 'advisory' AND l.classid::bigint = {space} AND l.objid::bigint = {key} \
                 AND l.objsubid = 2)) \
         ORDER BY age_ms DESC NULLS LAST, pid LIMIT 10"
    );
    let rows: Vec<Row> = diesel::sql_query(sql).bind::<Array<Text>, _>(tables).load(connection)?;
    let holder = |row: Row| LockHolder {
        pid: row.pid,
        application: row.application,
        state: row.state,
        age: row.age_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        on: row.locked,
    };
    Ok(rows.into_iter().map(holder).collect())
}
