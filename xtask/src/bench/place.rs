//! Where a benchmark runs: a server or a folder of its own, a sample, and a fresh copy of it for each turn.

use std::fs;
use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use sti_core::db::{Backend, DatabaseUrl};
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};
use tempfile::TempDir;

use crate::failure::Failure;
use crate::sample;

/// The seed of every sample.
const SEED: u64 = 1;

/// A setting of the server that is not as PostgreSQL comes with it.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    name: String,
    value: String,
}

impl std::str::FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, as in shared_buffers=1GB")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

/// A place that is gone when dropped.
pub(super) enum Place {
    /// A server with the settings that PostgreSQL comes with, but for those that were given; its data is on a disk.
    Postgres(Server),
    /// A folder for files.
    Sqlite(TempDir),
}

impl Place {
    pub(super) fn start(backend: Backend) -> Result<Self, Failure> {
        Self::start_with(backend, &[])
    }

    /// The same with some settings of the server; a file of SQLite has none.
    pub(super) fn start_with(backend: Backend, settings: &[Setting]) -> Result<Self, Failure> {
        match backend {
            Backend::Postgres => {
                let binaries =
                    Binaries::from_environment().map_err(|error| Failure::new(error.to_string()))?;
                let installed = ServerOptions::new().as_installed();
                let options = settings
                    .iter()
                    .fold(installed, |options, setting| options.setting(&setting.name, &setting.value));
                Server::start(&binaries, &options)
                    .map(Self::Postgres)
                    .map_err(Failure::during("start a PostgreSQL server"))
            }
            Backend::Sqlite => {
                let folder = TempDir::with_prefix("sti-bench-");
                folder.map(Self::Sqlite).map_err(Failure::during("make a temporary folder"))
            }
        }
    }

    /// Makes a sample without any subtype row, which [`Sample::copy`] copies.
    pub(super) fn sample(&self, projects: u64) -> Result<Sample<'_>, Failure> {
        let sample = Sample { place: self, name: format!("sample_{projects}"), projects };
        let url = self.make(&sample.name)?;
        let parsed = DatabaseUrl::parse(&url).map_err(|error| Failure::new(error.to_string()))?;
        sample::fill(&parsed, projects, SEED)?;
        for sql in ["DELETE FROM projects_schoolproject", "DELETE FROM projects_selfstudyproject"] {
            execute(&url, sql)?;
        }
        self.vacuum(&url)?;
        Ok(sample)
    }

    /// Makes an empty database, or the place for a file, and gives its URL.
    pub(super) fn make(&self, name: &str) -> Result<String, Failure> {
        if let Self::Postgres(_) = self {
            self.admin(&format!("CREATE DATABASE {name}"))?;
        }
        Ok(self.url(name))
    }

    /// Puts a database that was just filled in the state in which it would be some time later.
    pub(super) fn vacuum(&self, url: &str) -> Result<(), Failure> {
        execute(url, if matches!(self, Self::Postgres(_)) { "VACUUM ANALYZE" } else { "VACUUM" })
    }

    fn url(&self, name: &str) -> String {
        match self {
            Self::Postgres(server) => server.url(name),
            Self::Sqlite(_) => format!("sqlite:{}", self.file(name).display()),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        match self {
            Self::Postgres(server) => server.folder().join(name),
            Self::Sqlite(folder) => folder.path().join(format!("{name}.db")),
        }
    }

    fn admin(&self, sql: &str) -> Result<(), Failure> {
        execute(&self.url("postgres"), sql)
    }
}

/// A database that is only ever copied.
pub(super) struct Sample<'p> {
    place: &'p Place,
    name: String,
    pub(super) projects: u64,
}

impl Sample<'_> {
    /// To change what is copied.
    pub(super) fn url(&self) -> String {
        self.place.url(&self.name)
    }

    /// A fresh copy, written out to disk so that nobody pays for its making.
    pub(super) fn copy(&self) -> Result<Copy<'_>, Failure> {
        let name = format!("{}_copy", self.name);
        match self.place {
            Place::Postgres(_) => {
                self.place.admin(&format!("CREATE DATABASE {name} TEMPLATE {}", self.name))?;
                self.place.admin("CHECKPOINT")?;
            }
            Place::Sqlite(_) => {
                let copied = fs::copy(self.place.file(&self.name), self.place.file(&name));
                copied.map_err(Failure::during("copy the sample"))?;
            }
        }
        Ok(Copy { place: self.place, name })
    }
}

/// A copy of a sample, for one turn; gone when dropped.
pub(super) struct Copy<'p> {
    place: &'p Place,
    name: String,
}

impl Copy<'_> {
    pub(super) fn url(&self) -> String {
        self.place.url(&self.name)
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        match self.place {
            // What cannot be dropped goes with the server.
            Place::Postgres(_) => {
                let _ = self.place.admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
            }
            Place::Sqlite(_) => {
                for suffix in ["", "-wal", "-shm", "-journal"] {
                    let mut file = self.place.file(&self.name).into_os_string();
                    file.push(suffix);
                    let _ = fs::remove_file(file);
                }
            }
        }
    }
}

/// Fails unless the one value that `sql` gives on PostgreSQL is `expected`.
pub(super) fn expect(url: &str, expected: &str, sql: &str) -> Result<(), Failure> {
    execute(
        url,
        &format!(
            "DO $$ BEGIN IF ({sql}) <> {expected} THEN RAISE EXCEPTION 'expected {expected}, found %', ({sql}); \
             END IF; END $$"
        ),
    )
}

/// Runs statements on a connection of their own.
pub(super) fn execute(url: &str, sql: &str) -> Result<(), Failure> {
    let failed = format!("run {sql:?}");
    match url.strip_prefix("sqlite:") {
        None => PgConnection::establish(url)
            .map_err(Failure::during("connect"))?
            .batch_execute(sql)
            .map_err(Failure::during(failed)),
        Some(path) => SqliteConnection::establish(path)
            .map_err(Failure::during("open the file"))?
            .batch_execute(sql)
            .map_err(Failure::during(failed)),
    }
}
