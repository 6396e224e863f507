//! A fresh database for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::digest::RowSetDigest;
use super::postgres::{AdminUrl, Server, shared};
use super::text_rows::PlainConnection;

/// A database that belongs to one test and is gone when dropped. Its SQL helpers use none of the library's code,
/// so that they can contradict it; each call opens a connection of its own, and a failing statement fails the test.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Postgres { server: AdminUrl, name: String, role: OnceLock<String> },
    Sqlite { path: PathBuf, _folder: TempDir },
}

impl TestDatabase {
    /// An empty database on the shared PostgreSQL server.
    #[must_use]
    #[track_caller]
    pub fn postgres() -> Self {
        Self::copy_of("template1", shared().admin())
    }

    /// An empty database on `server`, for tests that crash or configure theirs.
    #[must_use]
    #[track_caller]
    pub fn postgres_on(server: &Server) -> Self {
        Self::copy_of("template1", server.admin())
    }

    /// A copy of the database `template` on `server`.
    #[track_caller]
    pub(super) fn copy_of(template: &str, server: &AdminUrl) -> Self {
        let name = unique_name();
        run(&server.database("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        let url = server.database(&name);
        Self { url, place: Place::Postgres { server: server.clone(), name, role: OnceLock::new() } }
    }

    /// An empty SQLite file in a folder of its own.
    #[must_use]
    #[track_caller]
    pub fn sqlite() -> Self {
        Self::sqlite_with(&[])
    }

    /// A SQLite file with this content.
    #[track_caller]
    pub(super) fn sqlite_with(content: &[u8]) -> Self {
        let database = Self::sqlite_missing();
        let Place::Sqlite { path, .. } = &database.place else { unreachable!("it was just made") };
        fs::write(path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        database
    }

    /// A place for a SQLite file that is not there yet.
    #[must_use]
    #[track_caller]
    pub fn sqlite_missing() -> Self {
        let folder =
            TempDir::with_prefix("sti-").unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let path = folder.path().join("test.db");
        Self { url: format!("sqlite:{}", path.display()), place: Place::Sqlite { path, _folder: folder } }
    }

    /// The URL for the owner of the tables.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `postgres` or `sqlite`.
    #[must_use]
    pub fn backend_name(&self) -> &'static str {
        match self.place {
            Place::Postgres { .. } => "postgres",
            Place::Sqlite { .. } => "sqlite",
        }
    }

    /// The database file, for SQLite.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Postgres { .. } => None,
            Place::Sqlite { path, .. } => Some(path),
        }
    }

    /// The SQL that this backend takes.
    #[must_use]
    pub fn either<'t>(&self, postgres: &'t str, sqlite: &'t str) -> &'t str {
        match self.place {
            Place::Postgres { .. } => postgres,
            Place::Sqlite { .. } => sqlite,
        }
    }

    /// Runs one or more statements.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        run(&self.url, sql);
    }

    /// Runs `SELECT` of `columns` (SQL expressions, each cast to text), with `rest` for what follows them:
    /// `select(&["id", "name"], "FROM projects_project ORDER BY id")`.
    #[must_use]
    #[track_caller]
    pub fn select(&self, columns: &[&str], rest: &str) -> Vec<Vec<Option<String>>> {
        let mut rows = Vec::new();
        self.each_row(columns, rest, |row| rows.push(row));
        rows
    }

    /// [`TestDatabase::select`] of one column.
    #[must_use]
    #[track_caller]
    pub fn column(&self, column: &str, rest: &str) -> Vec<Option<String>> {
        self.select(&[column], rest).into_iter().flatten().collect()
    }

    /// The first column of a query's only row as text. NULL reads as `NULL`.
    #[must_use]
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.column("value", &format!("FROM (SELECT ({sql}) AS value) AS one"));
        rows.into_iter().next().flatten().unwrap_or_else(|| "NULL".to_owned())
    }

    /// How many rows `rest` has: `count("projects_project WHERE is_draft")`.
    #[must_use]
    #[track_caller]
    pub fn count(&self, rest: &str) -> i64 {
        let count = self.value(&format!("SELECT count(*) FROM {rest}"));
        count.parse().unwrap_or_else(|error| panic!("count of {rest} is {count}: {error}"))
    }

    /// The digest of `id_column` and `columns` of all rows of `table`.
    #[must_use]
    #[track_caller]
    pub fn digest(&self, table: &str, id_column: &str, columns: &[&str]) -> RowSetDigest {
        let all: Vec<&str> = std::iter::once(id_column).chain(columns.iter().copied()).collect();
        let mut digest = RowSetDigest::default();
        self.each_row(&all, &format!("FROM {table}"), |mut row| {
            let values = row.split_off(1);
            let id = row.pop().flatten().unwrap_or_default();
            digest.add(&id, &values);
        });
        digest
    }

    /// The URL of the application's side: on PostgreSQL a role that may log in, owns nothing and can do nothing but
    /// what [`TestDatabase::grant_application`] allows; on SQLite the same URL.
    #[must_use]
    #[track_caller]
    pub fn application_role(&self) -> String {
        let Place::Postgres { server, name, role } = &self.place else { return self.url.clone() };
        let role = role.get_or_init(|| {
            let role = format!("{name}_app");
            // Before version 15 everyone may create tables in `public`.
            self.execute(&format!("CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC"));
            role
        });
        server.login(role, name)
    }

    /// Lets the application's role read, insert, update and delete rows of `tables`, which must exist.
    #[track_caller]
    pub fn grant_application(&self, tables: &[&str]) {
        let url = self.application_role();
        let Place::Postgres { role, .. } = &self.place else { return };
        let Some(role) = role.get() else { unreachable!("{url} was just made with it") };
        self.execute(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {role}", tables.join(", ")));
    }

    #[track_caller]
    pub(super) fn each_row(&self, columns: &[&str], rest: &str, take: impl FnMut(Vec<Option<String>>)) {
        let casts: Vec<String> = columns.iter().map(|column| format!("CAST({column} AS TEXT)")).collect();
        let sql = format!("SELECT {} {rest}", casts.join(", "));
        open(&self.url).each_row(&sql, take).unwrap_or_else(|error| panic!("{error}\nin: {sql}"));
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Postgres { server, name, role } = &self.place else { return };
        // A test that failed must not hide its own message behind a second panic.
        let Ok(mut connection) = PlainConnection::open(&server.database("postgres")) else { return };
        let _ = connection.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        if let Some(role) = role.get() {
            let _ = connection.execute(&format!("DROP ROLE IF EXISTS {role}"));
        }
    }
}

#[track_caller]
fn open(url: &str) -> PlainConnection {
    PlainConnection::open(url).unwrap_or_else(|error| panic!("cannot open {url}: {error}"))
}

#[track_caller]
pub(super) fn run(url: &str, sql: &str) {
    open(url).execute(sql).unwrap_or_else(|error| panic!("{error}\nin: {sql}"));
}

/// A name that no other test of this process or another on the same server has.
fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    format!("t{}_{}_{moment:x}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
