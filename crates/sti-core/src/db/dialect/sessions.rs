//! The sessions of a database: who is connected, and what it is doing.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryResult, RunQueryDsl as _};
use std::fmt;
use std::time::Duration;

use crate::db::connection::AnyConnection;

/// The most sessions that [`sessions`] tells of.
pub const MAX_SESSIONS: usize = 50;

/// A session of a client of this database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSeen {
    /// The server process.
    pub pid: i64,
    /// What the client calls itself; may be empty.
    pub application: String,
    /// The role that it is connected as.
    pub role: String,
    /// `active`, `idle`, `idle in transaction` …; empty where this role may not see it.
    pub state: String,
    /// How long it has been connected.
    pub age: Duration,
}

impl fmt::Display for SessionSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |text: &str| if text.is_empty() { "(no name)".to_owned() } else { text.to_owned() };
        write!(f, "pid {}: {} as {}", self.pid, named(&self.application), self.role)?;
        if !self.state.is_empty() {
            write!(f, ", {}", self.state)?;
        }
        write!(f, ", connected for {:.0} s", self.age.as_secs_f64())
    }
}

/// The other clients of this database, the oldest first, at most [`MAX_SESSIONS`]. Empty on SQLite.
///
/// # Errors
/// Whatever the database says.
pub fn sessions(connection: &mut AnyConnection) -> QueryResult<Vec<SessionSeen>> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        pid: i64,
        #[diesel(sql_type = Text)]
        application: String,
        #[diesel(sql_type = Text)]
        role: String,
        #[diesel(sql_type = Text)]
        state: String,
        #[diesel(sql_type = Nullable<BigInt>)]
        age_ms: Option<i64>,
    }
    let AnyConnection::Pg(connection) = connection else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT pid::bigint AS pid, COALESCE(application_name, '') AS application, \
                COALESCE(usename::text, '') AS role, COALESCE(state, '') AS state, \
                (EXTRACT(EPOCH FROM clock_timestamp() - backend_start) * 1000)::bigint AS age_ms \
         FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() \
           AND COALESCE(backend_type, 'client backend') = 'client backend' \
         ORDER BY backend_start, pid LIMIT {MAX_SESSIONS}"
    );
    let rows: Vec<Row> = diesel::sql_query(sql).load(connection)?;
    let seen = |row: Row| SessionSeen {
        pid: row.pid,
        application: row.application,
        role: row.role,
        state: row.state,
        age: Duration::from_millis(row.age_ms.unwrap_or_default().unsigned_abs()),
    };
    Ok(rows.into_iter().map(seen).collect())
}
