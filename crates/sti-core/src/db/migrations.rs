//! The embedded migrations: what `sti-migrate up` runs, recorded in diesel's `__diesel_schema_migrations`.
//!
//! Our versions begin with ten zeros, so they sort before those of a host that keeps its own migrations in the same
//! table: `diesel migration revert` of the host takes back the host's newest, never ours.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::connection::AnyConnection;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Runs every pending migration, each in a transaction of its own or as a savepoint of the one that is open.
///
/// # Errors
/// The migration that failed and why.
pub fn run_pending(
    connection: &mut AnyConnection,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let versions = match connection {
        AnyConnection::Pg(c) => c.run_pending_migrations(POSTGRES)?,
        AnyConnection::Sqlite(c) => c.run_pending_migrations(SQLITE)?,
    };
    Ok(versions.iter().map(ToString::to_string).collect())
}
