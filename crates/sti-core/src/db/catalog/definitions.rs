//! How columns are defined, so that they can be made again as they were.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text};
use serde::{Deserialize, Serialize};

use super::quote::{identifier, literal};
use super::sqlite_text;
use crate::db::Backend;
use crate::db::connection::AnyConnection;
use crate::db::error::{DbError, Doing as _};

/// The definitions of some columns of one table, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// The backend whose words these are.
    pub backend: Backend,
    /// The schema of the table; `main` on SQLite.
    pub schema: String,
    /// The columns.
    pub columns: Vec<ColumnDefinition>,
}

/// One column. What is at its usual value is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type in the backend's own words: `character varying(255)`; on SQLite as it was written.
    pub data_type: String,
    /// A collation other than the type's own, as SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// The default, as SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// PostgreSQL: `PLAIN`, `MAIN` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// PostgreSQL: `pglz`, `lz4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// PostgreSQL: the statistics target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<i32>,
    /// PostgreSQL: options such as `n_distinct=-0.5`, as SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<String>,
    /// PostgreSQL: the comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// PostgreSQL: privileges on this column alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<ColumnGrant>,
}

/// A privilege on one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnGrant {
    /// `SELECT`, `UPDATE` …
    pub privilege: String,
    /// The role; `None` for PUBLIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether the role may pass it on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grantable: bool,
}

const PG_DEFINITIONS: &str = "\
    SELECT n.nspname::text AS schema, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS data_type, \
           CASE WHEN a.attcollation <> t.typcollation \
                THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END AS collation, \
           CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS dflt, \
           CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage \
                WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END \
                END AS storage, \
           CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression, \
           NULLIF(a.attstattarget, -1)::integer AS statistics, \
           array_to_string(a.attoptions, ', ') AS options, col_description(a.attrelid, a.attnum) AS comment \
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace \
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE a.attrelid = to_regclass($1) AND a.attname::text = ANY($2) AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY array_position($2, a.attname::text)";

const PG_GRANTS: &str = "\
    SELECT a.attname::text AS name, g.privilege_type AS privilege, r.rolname::text AS role, \
           g.is_grantable AS grantable \
    FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee \
    WHERE a.attrelid = to_regclass($1) AND a.attname::text = ANY($2) AND NOT a.attisdropped \
      AND (g.grantee = 0 OR r.oid IS NOT NULL) \
    ORDER BY 3 NULLS FIRST, 2";

#[derive(diesel::QueryableByName)]
struct PgRow {
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    data_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    collation: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    dflt: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    storage: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    compression: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    statistics: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    options: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    comment: Option<String>,
}

#[derive(diesel::QueryableByName)]
struct PgGrant {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    privilege: String,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
    #[diesel(sql_type = Bool)]
    grantable: bool,
}

#[derive(diesel::QueryableByName)]
struct SqliteRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    data_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    dflt: Option<String>,
    #[diesel(sql_type = Text)]
    create_table: String,
}

/// How these columns of `table` are defined. Columns that are not there are left out.
///
/// # Errors
/// Whatever the database says.
pub fn definitions(
    connection: &mut AnyConnection,
    table: &str,
    columns: &[&str],
) -> Result<Definitions, DbError> {
    let doing = || format!("reading the definitions of the columns of {table} from the catalogue");
    match connection {
        AnyConnection::Pg(pg) => {
            let rows: Vec<PgRow> = diesel::sql_query(PG_DEFINITIONS)
                .bind::<Text, _>(table)
                .bind::<Array<Text>, _>(columns)
                .load(pg)
                .doing(doing())?;
            let grants: Vec<PgGrant> = diesel::sql_query(PG_GRANTS)
                .bind::<Text, _>(table)
                .bind::<Array<Text>, _>(columns)
                .load(pg)
                .doing(doing())?;
            Ok(of_postgres(rows, grants))
        }
        AnyConnection::Sqlite(sqlite) => {
            let rows: Vec<SqliteRow> = diesel::sql_query(
                "SELECT x.name AS name, x.type AS data_type, x.dflt_value AS dflt, s.sql AS create_table \
                 FROM sqlite_schema s, pragma_table_xinfo(s.name) x \
                 WHERE s.type = 'table' AND lower(s.name) = lower($1) ORDER BY x.cid",
            )
            .bind::<Text, _>(table)
            .load(sqlite)
            .doing(doing())?;
            Ok(of_sqlite(&rows, columns))
        }
    }
}

fn of_postgres(rows: Vec<PgRow>, grants: Vec<PgGrant>) -> Definitions {
    let schema = rows.first().map(|row| row.schema.clone()).unwrap_or_default();
    let mut columns: Vec<ColumnDefinition> = rows
        .into_iter()
        .map(|row| ColumnDefinition {
            name: row.name,
            data_type: row.data_type,
            collation: row.collation,
            default: row.dflt,
            storage: row.storage,
            compression: row.compression,
            statistics: row.statistics,
            options: row.options,
            comment: row.comment,
            grants: Vec::new(),
        })
        .collect();
    for PgGrant { name, privilege, role, grantable } in grants {
        if let Some(column) = columns.iter_mut().find(|column| column.name == name) {
            column.grants.push(ColumnGrant { privilege, role, grantable });
        }
    }
    Definitions { backend: Backend::Postgres, schema, columns }
}

fn of_sqlite(rows: &[SqliteRow], columns: &[&str]) -> Definitions {
    let found = columns.iter().filter_map(|name| rows.iter().find(|row| row.name.eq_ignore_ascii_case(name)));
    let columns = found
        .map(|row| ColumnDefinition {
            name: row.name.clone(),
            data_type: sqlite_text::declared_type(&row.create_table, &row.name)
                .map_or_else(|| row.data_type.clone(), str::to_owned),
            collation: sqlite_text::collation(&row.create_table, &row.name),
            default: row.dflt.clone(),
            storage: None,
            compression: None,
            statistics: None,
            options: None,
            comment: None,
            grants: Vec::new(),
        })
        .collect();
    Definitions { backend: Backend::Sqlite, schema: "main".to_owned(), columns }
}

impl Definitions {
    /// The statements that make the columns again, at the end of `table` and nullable.
    ///
    /// On PostgreSQL the rows that are there hold NULL afterwards, whatever the defaults: those are set once the
    /// columns are there. SQLite has no such way: the rows that are there hold the default. A privilege of a role
    /// that is gone by then is passed over.
    #[must_use]
    pub fn statements(&self, table: &str) -> Vec<String> {
        let table = format!("{}.{}", identifier(&self.schema), identifier(table));
        if self.columns.is_empty() {
            return Vec::new();
        }
        match self.backend {
            Backend::Postgres => self.postgres_statements(&table),
            Backend::Sqlite => {
                let columns = self.columns.iter();
                columns.map(|column| format!("ALTER TABLE {table} ADD COLUMN {}", column.sqlite())).collect()
            }
        }
    }

    fn postgres_statements(&self, table: &str) -> Vec<String> {
        let added: Vec<String> =
            self.columns.iter().map(|column| format!("ADD COLUMN {}", column.type_and_collation())).collect();
        let settings: Vec<String> = self.columns.iter().flat_map(ColumnDefinition::settings).collect();
        let mut statements = vec![format!("ALTER TABLE {table} {}", added.join(", "))];
        if !settings.is_empty() {
            statements.push(format!("ALTER TABLE {table} {}", settings.join(", ")));
        }
        for column in &self.columns {
            let name = identifier(&column.name);
            if let Some(comment) = &column.comment {
                statements.push(format!("COMMENT ON COLUMN {table}.{name} IS {}", literal(comment)));
            }
            statements.extend(column.grants.iter().map(|grant| grant.statement(table, &name)));
        }
        statements
    }
}

impl ColumnDefinition {
    /// Name, type and collation: what stands behind ADD COLUMN on PostgreSQL.
    fn type_and_collation(&self) -> String {
        let collation = self.collation.as_ref().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        let space = if self.data_type.is_empty() { "" } else { " " };
        format!("{}{space}{}{collation}", identifier(&self.name), self.data_type)
    }

    fn sqlite(&self) -> String {
        let default = match &self.default {
            Some(default) if sqlite_text::is_literal(default) => format!(" DEFAULT {default}"),
            Some(default) => format!(" DEFAULT ({default})"),
            None => String::new(),
        };
        format!("{}{default}", self.type_and_collation())
    }

    /// What PostgreSQL sets once the column is there, each for one ALTER TABLE.
    fn settings(&self) -> Vec<String> {
        let name = identifier(&self.name);
        [
            self.default.as_ref().map(|default| format!("SET DEFAULT {default}")),
            self.storage.as_ref().map(|storage| format!("SET STORAGE {storage}")),
            self.compression.as_ref().map(|method| format!("SET COMPRESSION {method}")),
            self.statistics.map(|target| format!("SET STATISTICS {target}")),
            self.options.as_ref().map(|options| format!("SET ({options})")),
        ]
        .into_iter()
        .flatten()
        .map(|setting| format!("ALTER COLUMN {name} {setting}"))
        .collect()
    }
}

/// The definition in one line, as a report shows it.
impl std::fmt::Display for ColumnDefinition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sqlite())
    }
}

impl ColumnGrant {
    fn statement(&self, table: &str, column: &str) -> String {
        let role = self.role.as_deref().map_or_else(|| "PUBLIC".to_owned(), identifier);
        let option = if self.grantable { " WITH GRANT OPTION" } else { "" };
        let grant = format!("GRANT {} ({column}) ON {table} TO {role}{option}", self.privilege);
        let Some(role) = &self.role else { return grant };
        let role = literal(role);
        let block = format!(
            "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role}) THEN {grant}; END IF; END"
        );
        format!("DO {}", literal(&block))
    }
}
