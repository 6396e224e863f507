//! What is there: relations, columns, foreign keys, read from the database's own catalogue. Takes no lock on the
//! tables it tells about.

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel::{OptionalExtension as _, RunQueryDsl as _};

use super::connection::AnyConnection;
use super::error::{DbError, Doing as _};

mod definitions;
mod dependents;
pub(crate) mod quote;
mod sqlite_text;

pub use definitions::{ColumnDefinition, ColumnGrant, Definitions, definitions};
pub use dependents::{Dependent, Effect, dependents};

/// A column as the catalogue describes it.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct Column {
    /// Its name; in lower case on SQLite, where case makes no difference.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Its type in the backend's own words, lower-case: `character varying(255)`, `char(32)`.
    #[diesel(sql_type = Text)]
    pub data_type: String,
    /// Whether it takes NULL.
    #[diesel(sql_type = Bool)]
    pub nullable: bool,
    /// Whether a row that is there may hold NULL. On PostgreSQL 18 that is so, too, where NOT NULL is declared and
    /// was never validated: new rows must have a value, old ones need not.
    #[diesel(sql_type = Bool)]
    pub may_hold_null: bool,
    /// Whether it alone is the primary key, and one that is checked at once: what `ON CONFLICT` and a foreign key
    /// need.
    #[diesel(sql_type = Bool)]
    pub primary_key: bool,
    /// Whether a row that does not name it gets a value: a default, or an identity.
    #[diesel(sql_type = Bool)]
    pub has_default: bool,
    /// Whether it is computed from other columns, so that nobody can write it.
    #[diesel(sql_type = Bool)]
    pub generated: bool,
}

const PG_COLUMNS: &str = "\
    SELECT a.attname::text AS name, lower(format_type(a.atttypid, a.atttypmod)) AS data_type, \
           NOT a.attnotnull AS nullable, \
           NOT a.attnotnull OR EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conrelid = a.attrelid \
                   AND c.contype = 'n' AND NOT c.convalidated AND c.conkey = ARRAY[a.attnum]) AS may_hold_null, \
           EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND i.indimmediate \
                   AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS primary_key, \
           (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '' AS has_default, \
           a.attgenerated <> '' AS generated \
    FROM pg_attribute a \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

const SQLITE_COLUMNS: &str = "\
    SELECT lower(name) AS name, lower(type) AS data_type, \"notnull\" = 0 AS nullable, \
           \"notnull\" = 0 AS may_hold_null, \
           pk > 0 AND (SELECT count(*) FROM pragma_table_xinfo($1) WHERE pk > 0) = 1 AS primary_key, \
           dflt_value IS NOT NULL AS has_default, hidden IN (2, 3) AS generated \
    FROM pragma_table_xinfo($1) WHERE hidden <> 1 ORDER BY cid";

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

/// Whatever bears the name of a table.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct Relation {
    /// The schema that it is in; `main` on SQLite.
    #[diesel(sql_type = Text)]
    pub schema: String,
    /// What it is, in words: [`Relation::TABLE`], `view`, `partitioned table` …
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// Whether row-level security hides rows from this session.
    #[diesel(sql_type = Bool)]
    pub hides_rows: bool,
}

impl Relation {
    /// The kind of an ordinary table: permanent, logged, neither parent nor part of another one.
    pub const TABLE: &'static str = "table";
}

const PG_RELATION: &str = "\
    SELECT n.nspname::text AS schema, \
           CASE c.relkind \
                WHEN 'r' THEN CASE \
                     WHEN c.relpersistence = 'u' THEN 'unlogged table' \
                     WHEN c.relpersistence = 't' THEN 'temporary table' \
                     WHEN c.relispartition THEN 'partition of another table' \
                     WHEN EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid) \
                          THEN 'table with child tables' \
                     WHEN EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) \
                          THEN 'child table of another table' \
                     ELSE 'table' END \
                WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' \
                WHEN 'f' THEN 'foreign table' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' \
                WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'composite type' ELSE 'relation' END AS kind, \
           row_security_active(c.oid) AS hides_rows \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";

const SQLITE_RELATION: &str = "\
    SELECT 'main' AS schema, \
           CASE WHEN type = 'table' AND sql LIKE 'CREATE VIRTUAL %' THEN 'virtual table' ELSE type END AS kind, \
           0 AS hides_rows \
    FROM sqlite_schema WHERE lower(name) = $1 AND type IN ('table', 'view', 'index')";

/// What bears this name (lower-case, no schema), on PostgreSQL the first that `search_path` finds.
///
/// # Errors
/// Whatever the database says.
pub fn relation(connection: &mut AnyConnection, name: &str) -> Result<Option<Relation>, DbError> {
    let sql = match connection {
        AnyConnection::Pg(_) => PG_RELATION,
        AnyConnection::Sqlite(_) => SQLITE_RELATION,
    };
    diesel::sql_query(sql)
        .bind::<Text, _>(name)
        .get_result(connection)
        .optional()
        .doing(format!("looking for {name} in the catalogue"))
}

/// Where a table is, as SQL: quoted where it has to be.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct Place {
    /// The schema; `main` on SQLite.
    #[diesel(sql_type = Text)]
    pub schema: String,
    /// The table with its schema: `public.projects_project`.
    #[diesel(sql_type = Text)]
    pub name: String,
}

/// Where `table` is, on PostgreSQL the first that `search_path` finds.
///
/// # Errors
/// There is no such table, or whatever the database says.
pub fn place(connection: &mut AnyConnection, table: &str) -> Result<Place, DbError> {
    let sql = match connection {
        AnyConnection::Pg(_) => {
            "SELECT quote_ident(n.nspname) AS schema, format('%I.%I', n.nspname, c.relname) AS name \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"
        }
        AnyConnection::Sqlite(_) => {
            "SELECT 'main' AS schema, 'main.' || name AS name FROM sqlite_schema \
             WHERE type = 'table' AND lower(name) = $1"
        }
    };
    diesel::sql_query(sql)
        .bind::<Text, _>(table)
        .get_result(connection)
        .doing(format!("looking for the schema of {table}"))
}

/// Whether a foreign key of `table` refers to `parent` and is enforced.
///
/// # Errors
/// Whatever the database says.
pub fn refers_to(connection: &mut AnyConnection, table: &str, parent: &str) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        refers: bool,
    }
    let sql = match connection {
        AnyConnection::Pg(_) => {
            // As JSON, since the column `conenforced` came with version 18: one that is not enforced refers to
            // nothing.
            "SELECT EXISTS (SELECT 1 FROM pg_constraint c WHERE contype = 'f' AND conrelid = to_regclass($1) \
             AND confrelid = to_regclass($2) AND to_jsonb(c) ->> 'conenforced' IS DISTINCT FROM 'false') AS refers"
        }
        AnyConnection::Sqlite(_) => {
            "SELECT EXISTS (SELECT 1 FROM pragma_foreign_key_list($1) WHERE lower(\"table\") = $2) AS refers"
        }
    };
    let row: Row = diesel::sql_query(sql)
        .bind::<Text, _>(table)
        .bind::<Text, _>(parent)
        .get_result(connection)
        .doing(format!("reading the foreign keys of {table} from the catalogue"))?;
    Ok(row.refers)
}

/// How many rows a table has.
///
/// # Errors
/// Whatever the database says.
pub fn count(connection: &mut AnyConnection, table: &str) -> Result<i64, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let row: Row = diesel::sql_query(format!("SELECT count(*) AS rows FROM {table}"))
        .get_result(connection)
        .doing(format!("counting the rows of {table}"))?;
    Ok(row.rows)
}

/// The server, as far as it says who it is.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct Server {
    /// Its version: `15.18 (Debian …)`; SQLite's own on SQLite.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// The schema in which new tables are made: the first of `search_path` that exists. `main` on SQLite.
    #[diesel(sql_type = Nullable<Text>)]
    pub schema: Option<String>,
}

/// Asks for version and schema.
///
/// # Errors
/// Whatever the database says.
pub fn server(connection: &mut AnyConnection) -> Result<Server, DbError> {
    let sql = match connection {
        AnyConnection::Pg(_) => {
            "SELECT current_setting('server_version') AS version, current_schema()::text AS schema"
        }
        AnyConnection::Sqlite(_) => "SELECT sqlite_version() AS version, 'main' AS schema",
    };
    diesel::sql_query(sql).get_result(connection).doing("asking for the version of the server")
}
