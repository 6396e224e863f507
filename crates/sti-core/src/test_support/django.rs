//! The database that a Django application made: `tests/data/django-10k` of this crate.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::TestDatabase;
use super::database::run;
use super::postgres::{Binaries, Server, ServerError, shared};
use super::text_rows::PlainConnection;

const TEMPLATE: &str = "sti_django_10k";
const HALF_MADE: &str = "sti_django_10k_half_made";

/// The advisory lock under which one process restores the dump and the others wait.
const RESTORE_LOCK: u64 = 0x7374_6a61;

impl TestDatabase {
    /// The Django application's database with its 10,000 projects, on the shared PostgreSQL server: restored once
    /// for each server, then copied.
    #[must_use]
    #[track_caller]
    pub fn django_postgres() -> Self {
        make_template();
        Self::copy_of(TEMPLATE, shared().admin())
    }

    /// The Django application's database on a server of the test's own.
    #[must_use]
    #[track_caller]
    pub fn django_postgres_on(server: &Server) -> Self {
        let database = Self::postgres_on(server);
        restore(database.url()).unwrap_or_else(|error| panic!("cannot restore the Django dump: {error}"));
        database
    }

    /// The Django application's SQLite file with the same 10,000 projects.
    #[must_use]
    #[track_caller]
    pub fn django_sqlite() -> Self {
        let path = Self::django_folder().join("django-10k.sqlite.gz");
        let packed = fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut content = Vec::new();
        if let Err(error) = GzDecoder::new(packed).read_to_end(&mut content) {
            panic!("{}: {error}", path.display());
        }
        Self::sqlite_with(&content)
    }

    /// The folder of the fixture: the dump, the packed SQLite file, and `django-10k.json` with what is in them.
    #[must_use]
    pub fn django_folder() -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/django-10k")).to_path_buf()
    }
}

/// Restores the dump unless this server has it. The template gets its name only when it is whole, so that a killed
/// test run leaves nothing behind that the next one takes for it.
#[track_caller]
fn make_template() {
    let admin = shared().url("postgres");
    let failed = |error: &dyn std::fmt::Display| -> ! { panic!("cannot restore the Django dump: {error}") };
    let mut connection = PlainConnection::open(&admin).unwrap_or_else(|error| failed(&error));
    let mut present = false;
    connection
        .execute(&format!("SELECT pg_advisory_lock({RESTORE_LOCK})"))
        .and_then(|()| {
            let sql = format!("SELECT datname::text FROM pg_database WHERE datname = '{TEMPLATE}'");
            connection.each_row(&sql, |_| present = true)
        })
        .unwrap_or_else(|error| failed(&error));
    if present {
        return;
    }
    run(&admin, &format!("DROP DATABASE IF EXISTS {HALF_MADE} WITH (FORCE)"));
    run(&admin, &format!("CREATE DATABASE {HALF_MADE}"));
    restore(&shared().url(HALF_MADE)).unwrap_or_else(|error| failed(&error));
    run(&shared().url(HALF_MADE), "VACUUM ANALYZE");
    run(&admin, &format!("ALTER DATABASE {HALF_MADE} RENAME TO {TEMPLATE}"));
}

fn restore(url: &str) -> Result<(), ServerError> {
    let binaries = Binaries::from_environment()?;
    let dump = TestDatabase::django_folder().join("django-10k.dump");
    let output = binaries
        .pg_restore()?
        .args(["--no-owner", "--dbname", url])
        .arg(&dump)
        .output()
        .map_err(ServerError::io("run pg_restore"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || only_unknown_settings(&said) {
        return Ok(());
    }
    Err(ServerError::Program {
        program: format!(
            "{} (for a dump of PostgreSQL 15 and the server {})",
            binaries.pg_restore_version()?,
            binaries.version()?
        ),
        output: said.trim().to_owned(),
    })
}

/// Whether nothing went wrong but this: a `pg_restore` that is newer than the server begins with settings that the
/// server does not know yet (17 sends `transaction_timeout` to 14).
fn only_unknown_settings(said: &str) -> bool {
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("pg_restore: error:")).collect();
    !errors.is_empty()
        && errors.iter().all(|line| line.contains("unrecognized configuration parameter"))
        && said.trim_end().ends_with(&format!("errors ignored on restore: {}", errors.len()))
}

#[cfg(test)]
mod tests {
    use super::only_unknown_settings;

    #[test]
    fn a_restore_is_whole_if_only_settings_were_unknown() {
        let setting = "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter \
                       \"transaction_timeout\"\nCommand was: SET transaction_timeout = 0;\n";
        let other = "pg_restore: error: could not execute query: ERROR:  relation \"a\" does not exist\n";
        let end = |count| format!("pg_restore: warning: errors ignored on restore: {count}\n");
        assert!(only_unknown_settings(&format!("{setting}{}", end(1))));
        assert!(!only_unknown_settings(&format!("{setting}{other}{}", end(2))));
        assert!(!only_unknown_settings(&format!("{setting}{}", end(2))));
        assert!(!only_unknown_settings(setting));
        assert!(!only_unknown_settings(""));
    }
}
