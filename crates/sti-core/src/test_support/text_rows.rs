//! Plain SQL without the library's own code: every value as text.

use std::fmt;

use diesel::backend::Backend;
use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::row::{Field, NamedRow, Row};
use diesel::sql_types::{Nullable, Text};
use diesel::{Connection, PgConnection, QueryResult, RunQueryDsl, SqliteConnection, sql_query};

use crate::db::AnyConnection;

/// A connection for plain SQL in which the library's code has no hand, so that its answers can contradict it.
pub enum PlainConnection {
    /// PostgreSQL.
    Pg(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

impl fmt::Debug for PlainConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pg(_) => "PlainConnection::Pg",
            Self::Sqlite(_) => "PlainConnection::Sqlite",
        })
    }
}

impl From<AnyConnection> for PlainConnection {
    fn from(connection: AnyConnection) -> Self {
        match connection {
            AnyConnection::Pg(connection) => Self::Pg(connection),
            AnyConnection::Sqlite(connection) => Self::Sqlite(connection),
        }
    }
}

impl PlainConnection {
    /// Connects to a PostgreSQL URL or a SQLite file. An error may repeat the URL, password included.
    ///
    /// # Errors
    /// What the database says.
    pub fn open(url: &str) -> diesel::ConnectionResult<Self> {
        match url.strip_prefix("sqlite:") {
            None => PgConnection::establish(url).map(Self::Pg),
            Some(path) => {
                let mut connection = SqliteConnection::establish(path)?;
                connection
                    .batch_execute("PRAGMA busy_timeout = 10000")
                    .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                Ok(Self::Sqlite(connection))
            }
        }
    }

    /// Runs one or more statements.
    ///
    /// # Errors
    /// What the database says.
    pub fn execute(&mut self, sql: &str) -> QueryResult<()> {
        match self {
            Self::Pg(connection) => connection.batch_execute(sql),
            Self::Sqlite(connection) => connection.batch_execute(sql),
        }
    }

    /// Runs a query whose columns are all text, and hands over each row.
    ///
    /// # Errors
    /// What the database says; a column that is no text.
    pub fn each_row(&mut self, sql: &str, take: impl FnMut(Vec<Option<String>>)) -> QueryResult<()> {
        match self {
            Self::Pg(connection) => {
                hand_over(sql_query(sql).load_iter::<TextRow, DefaultLoadingMode>(connection)?, take)
            }
            Self::Sqlite(connection) => {
                hand_over(sql_query(sql).load_iter::<TextRow, DefaultLoadingMode>(connection)?, take)
            }
        }
    }
}

fn hand_over(
    rows: impl Iterator<Item = QueryResult<TextRow>>,
    mut take: impl FnMut(Vec<Option<String>>),
) -> QueryResult<()> {
    for row in rows {
        take(row?.0);
    }
    Ok(())
}

struct TextRow(Vec<Option<String>>);

impl<DB> QueryableByName<DB> for TextRow
where
    DB: Backend,
    String: FromSql<Text, DB>,
{
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        let mut values = Vec::with_capacity(row.field_count());
        for index in 0..row.field_count() {
            let field = Row::get(row, index).ok_or("a column is missing")?;
            values.push(<Option<String> as FromSql<Nullable<Text>, DB>>::from_nullable_sql(field.value())?);
        }
        Ok(Self(values))
    }
}
