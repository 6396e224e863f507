//! What is there: tables and columns, read from the database's own catalogue.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{Bool, Text};

use super::connection::AnyConnection;
use super::error::{DbError, Doing as _};

/// A column as the catalogue describes it.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct Column {
    /// Its name.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Its type in the backend's own words, lower-case: `character varying(255)`, `char(32)`.
    #[diesel(sql_type = Text)]
    pub data_type: String,
    /// Whether it takes NULL.
    #[diesel(sql_type = Bool)]
    pub nullable: bool,
    /// Whether it is the primary key, or a part of it.
    #[diesel(sql_type = Bool)]
    pub primary_key: bool,
}

const PG_COLUMNS: &str = "\
    SELECT a.attname::text AS name, lower(format_type(a.atttypid, a.atttypmod)) AS data_type, \
           NOT a.attnotnull AS nullable, \
           EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary \
                   AND a.attnum = ANY (i.indkey)) AS primary_key \
    FROM pg_attribute a \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

const SQLITE_COLUMNS: &str = "\
    SELECT name, lower(type) AS data_type, \"notnull\" = 0 AS nullable, pk > 0 AS primary_key \
    FROM pragma_table_info($1) ORDER BY cid";

/// The columns of a table (on PostgreSQL the one that `search_path` finds); empty when there is no such table.
///
/// # Errors
/// Whatever the database says.
pub fn columns(connection: &mut AnyConnection, table: &str) -> Result<Vec<Column>, DbError> {
    let sql = match connection {
        AnyConnection::Pg(_) => PG_COLUMNS,
        AnyConnection::Sqlite(_) => SQLITE_COLUMNS,
    };
    diesel::sql_query(sql)
        .bind::<Text, _>(table)
        .load(connection)
        .doing(format!("reading the columns of {table} from the catalogue"))
}
