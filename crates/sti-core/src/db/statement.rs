//! SQL that is put together piece by piece, with its values in the order of their placeholders.

use diesel::RunQueryDsl as _;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::serialize::ToSql;
use diesel::sql_types::HasSqlType;

use super::connection::{AnyConnection, MultiBackend};
use super::error::{DbError, Doing as _};

/// A statement under construction: text goes in with [`Statement::sql`], values only with [`Statement::bind`],
/// which numbers the placeholders in the order in which both backends count them.
pub(crate) struct Statement {
    query: BoxedSqlQuery<'static, MultiBackend, SqlQuery>,
    binds: usize,
}

impl Statement {
    /// A statement that begins with `sql`.
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self { query: diesel::sql_query(sql).into_boxed(), binds: 0 }
    }

    /// Adds text.
    pub(crate) fn sql(mut self, sql: impl AsRef<str>) -> Self {
        self.query = self.query.sql(sql);
        self
    }

    /// Adds a placeholder and its value of the SQL type `ST`.
    pub(crate) fn bind<ST, T>(mut self, value: T) -> Self
    where
        MultiBackend: HasSqlType<ST>,
        T: ToSql<ST, MultiBackend> + Send + 'static,
        ST: Send + 'static,
    {
        self.binds += 1;
        self.query = self.query.sql(format!("${}", self.binds)).bind::<ST, _>(value);
        self
    }

    /// Runs it; `doing` is what an error names. The number of rows that it wrote.
    pub(crate) fn execute(
        self,
        connection: &mut AnyConnection,
        doing: impl Into<String>,
    ) -> Result<usize, DbError> {
        self.query.execute(connection).doing(doing)
    }

    /// Runs it and reads the rows by the names of their columns; `doing` is what an error names.
    pub(crate) fn load<R>(
        self,
        connection: &mut AnyConnection,
        doing: impl Into<String>,
    ) -> Result<Vec<R>, DbError>
    where
        R: diesel::deserialize::QueryableByName<MultiBackend> + 'static,
    {
        self.query.load(connection).doing(doing)
    }
}
