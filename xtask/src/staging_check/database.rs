//! The database under examination, asked in plain SQL that none of the tools has a hand in.

use std::cell::RefCell;

use sti_core::db::{Access, Backend, DatabaseUrl, connect};
use sti_core::test_support::{PlainConnection, RowSetDigest};

use crate::failure::Failure;

/// The name that our own sessions bear.
pub(super) const APPLICATION: &str = "cargo xtask staging-check";

/// A row, each value as text.
pub(super) type Row = Vec<Option<String>>;

/// A database. What only reads shares a connection, which is in no transaction between two calls; what writes opens one
/// of its own, so that no setting of it stays.
#[derive(Debug)]
pub(super) struct Database {
    /// As it was given: password and all. Only the tools get it, in their environment.
    text: String,
    url: DatabaseUrl,
    reader: RefCell<Option<PlainConnection>>,
}

impl Database {
    pub(super) fn new(text: String) -> Result<Self, Failure> {
        let url = DatabaseUrl::parse(&text).map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { text, url, reader: RefCell::new(None) })
    }

    /// Where it is; may be shown.
    pub(super) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// The URL for `DATABASE_URL`: never to be shown.
    pub(super) fn secret_url(&self) -> &str {
        &self.text
    }

    pub(super) fn is_postgres(&self) -> bool {
        self.url.backend() == Backend::Postgres
    }

    /// The SQL that this backend takes.
    pub(super) fn either<'t>(&self, postgres: &'t str, sqlite: &'t str) -> &'t str {
        if self.is_postgres() { postgres } else { sqlite }
    }

    pub(super) fn open(&self) -> Result<PlainConnection, Failure> {
        connect(&self.url, Access::Write, APPLICATION)
            .map(PlainConnection::from)
            .map_err(|error| Failure::new(error.to_string()))
    }

    /// Runs one or more statements.
    pub(super) fn execute(&self, sql: &str) -> Result<(), Failure> {
        self.open()?.execute(sql).map_err(Failure::during(format!("run {}", first_words(sql))))
    }

    /// Reads `columns` (SQL expressions, each cast to text) of `rest`, one row after the other.
    pub(super) fn each_row(
        &self,
        columns: &[impl AsRef<str>],
        rest: &str,
        take: impl FnMut(Row),
    ) -> Result<(), Failure> {
        let casts: Vec<String> =
            columns.iter().map(|column| format!("CAST({} AS TEXT)", column.as_ref())).collect();
        let sql = format!("SELECT {} {rest}", casts.join(", "));
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.open()?,
        };
        reader.each_row(&sql, take).map_err(Failure::during(format!("read {}", first_words(rest))))?;
        self.reader.replace(Some(reader));
        Ok(())
    }

    pub(super) fn rows(&self, columns: &[impl AsRef<str>], rest: &str) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        self.each_row(columns, rest, |row| rows.push(row))?;
        Ok(rows)
    }

    /// One column; NULLs are left out.
    pub(super) fn column(&self, column: &str, rest: &str) -> Result<Vec<String>, Failure> {
        Ok(self.rows(&[column], rest)?.into_iter().flatten().flatten().collect())
    }

    /// The first value of a query; `None` for NULL and for no row.
    pub(super) fn value(&self, column: &str, rest: &str) -> Result<Option<String>, Failure> {
        Ok(self.rows(&[column], rest)?.into_iter().flatten().next().flatten())
    }

    /// How many rows there are: `count("projects_project WHERE is_draft")`.
    pub(super) fn count(&self, rest: &str) -> Result<i64, Failure> {
        let count = self.value("count(*)", &format!("FROM {rest}"))?;
        let number = count.as_deref().map(str::parse);
        number.and_then(Result::ok).ok_or_else(|| Failure::new(format!("no count of {rest}")))
    }

    /// The digest of a set of rows whose first column is its key.
    pub(super) fn digest(&self, columns: &[impl AsRef<str>], rest: &str) -> Result<RowSetDigest, Failure> {
        let mut digest = RowSetDigest::default();
        self.each_row(columns, rest, |mut row| {
            let values = row.split_off(1);
            digest.add(row.pop().flatten().as_deref().unwrap_or_default(), &values);
        })?;
        Ok(digest)
    }

    /// Whether a table of this name is there.
    pub(super) fn has_table(&self, name: &str) -> Result<bool, Failure> {
        let postgres = format!(
            "pg_catalog.pg_class WHERE relname = '{name}' AND relkind = 'r' \
             AND relnamespace = current_schema()::regnamespace"
        );
        let sqlite = format!("sqlite_schema WHERE name = '{name}' AND type = 'table'");
        Ok(self.count(self.either(&postgres, &sqlite))? > 0)
    }

    /// The columns of a table in their order, each with its type and whether it takes NULL, with its default
    /// and collation, as in `course_code varchar(50) null`; none where there is no such table.
    pub(super) fn columns(&self, table: &str) -> Result<Vec<(String, String)>, Failure> {
        let postgres = (
            [
                "a.attname",
                "format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE ' null' END \
                 || COALESCE(' default ' || pg_get_expr(d.adbin, d.adrelid), '') || COALESCE(' collate ' || \
                 (SELECT l.collname FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation), '')",
            ],
            format!(
                "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
                 LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
                 WHERE c.relname = '{table}' AND c.relnamespace = current_schema()::regnamespace \
                 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
            ),
        );
        let sqlite = (
            [
                "name",
                "lower(type) || CASE WHEN \"notnull\" THEN ' not null' ELSE ' null' END \
                 || COALESCE(' default ' || dflt_value, '')",
            ],
            format!("FROM pragma_table_info('{table}') ORDER BY cid"),
        );
        let (columns, rest) = if self.is_postgres() { postgres } else { sqlite };
        let text = |value: Option<String>| value.unwrap_or_default();
        Ok(self
            .rows(&columns, &rest)?
            .into_iter()
            .filter_map(|row| {
                let [name, definition] = <[Option<String>; 2]>::try_from(row).ok()?;
                Some((text(name), text(definition)))
            })
            .collect())
    }
}

/// Enough of a statement to find it by, and no value of a row.
fn first_words(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().take(8).collect();
    format!("`{} …`", words.join(" "))
}
