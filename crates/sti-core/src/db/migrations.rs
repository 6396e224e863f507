//! The embedded migrations: what `sti-migrate up` runs, recorded in diesel's `__diesel_schema_migrations`.
//!
//! Our versions begin with ten zeros, so they sort before those of a host that keeps its own migrations in the same
//! table: `diesel migration revert` of the host takes back the host's newest, never ours. A harness skips recorded
//! versions that it does not know, so neither side's pending migrations depend on the other's.

mod ours;

use diesel::RunQueryDsl as _;
use diesel::sql_types::Text;
use diesel_migrations::MigrationHarness as _;

use super::catalog;
use super::connection::AnyConnection;
use super::error::{DbError, Doing as _};

pub use ours::{ContractMigrations, DROP, OURS, OurMigration, OurMigrations, PROJECTS};

/// The table in which diesel records what has run, ours and a host's.
pub const RECORD: &str = "__diesel_schema_migrations";

/// What the versions of all our migrations begin with; diesel's own `00000000000000` does too.
pub const PREFIX: &str = "0000000000";

/// Why the pending migrations did not run.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database refused a statement.
    #[error(transparent)]
    Db(#[from] DbError),
    /// diesel's migration harness failed otherwise.
    #[error("running the migrations: {0}")]
    Harness(Box<dyn std::error::Error + Send + Sync>),
}

/// Runs every pending migration, each in a transaction of its own or as a savepoint of the one that is open, and
/// gives their versions.
///
/// # Errors
/// The first statement that failed, and why.
pub fn run_pending(connection: &mut AnyConnection) -> Result<Vec<String>, MigrationError> {
    let run = match connection {
        AnyConnection::Pg(c) => c.run_pending_migrations(OurMigrations),
        AnyConnection::Sqlite(c) => c.run_pending_migrations(OurMigrations),
    };
    let versions = run.map_err(|error| failed("running the migrations", error))?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// Runs [`DROP`], which consumes the permit of the transaction that is open, and records it; gives false, and does
/// nothing, when it is recorded already.
///
/// # Errors
/// The statement that failed, and why: without a permit it always does.
pub fn run_drop(connection: &mut AnyConnection) -> Result<bool, MigrationError> {
    let run = match connection {
        AnyConnection::Pg(c) => c.run_pending_migrations(ContractMigrations),
        AnyConnection::Sqlite(c) => c.run_pending_migrations(ContractMigrations),
    };
    let versions = run.map_err(|error| failed("dropping the legacy columns", error))?;
    Ok(versions.len() == 1)
}

/// Takes the database's own error out of the harness's box, so that it can be told apart like every other one.
fn failed(doing: &str, error: Box<dyn std::error::Error + Send + Sync>) -> MigrationError {
    match error.downcast::<diesel::result::Error>() {
        Ok(source) => DbError { doing: doing.to_owned(), source: *source }.into(),
        Err(error) => MigrationError::Harness(error),
    }
}

/// The recorded versions, ours and others', in their order. Makes no table: without one, nothing is recorded.
///
/// # Errors
/// Whatever the database says.
pub fn recorded(connection: &mut AnyConnection) -> Result<Vec<String>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        version: String,
    }
    if catalog::relation(connection, RECORD)?.is_none() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = diesel::sql_query(format!("SELECT version FROM {RECORD} ORDER BY version"))
        .load(connection)
        .doing(format!("reading the recorded migrations in {RECORD}"))?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}
