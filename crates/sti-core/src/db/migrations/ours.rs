//! Our migrations, compiled in: those that `up` runs, and the one that drops the legacy columns, in a set of its own.

use std::fmt;

use diesel::backend::Backend;
use diesel::connection::BoxableConnection;
use diesel::migration::{
    Migration, MigrationMetadata, MigrationName, MigrationSource, MigrationVersion, Result,
};
use diesel::pg::Pg;
use diesel::sqlite::Sqlite;

/// One of our migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OurMigration {
    /// As it is recorded.
    pub version: &'static str,
    /// What it is about.
    pub name: &'static str,
    /// The tables of our own that it makes; none of them may be there before.
    pub tables: &'static [&'static str],
    postgres: Script,
    sqlite: Script,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Script {
    up: &'static str,
    down: &'static str,
}

impl OurMigration {
    /// The SQL that it runs on this backend.
    #[must_use]
    pub const fn up(&self, backend: super::super::url::Backend) -> &'static str {
        match backend {
            super::super::url::Backend::Postgres => self.postgres.up,
            super::super::url::Backend::Sqlite => self.sqlite.up,
        }
    }
}

/// The entries of [`OURS`], each with its scripts of `migrations/{postgres,sqlite}/VERSION_NAME/`.
macro_rules! ours {
    ($($version:literal $name:literal makes $tables:expr;)+) => {
        /// Our migrations, in the order in which they run.
        pub const OURS: &[OurMigration] = &[ $(
            OurMigration {
                version: $version,
                name: $name,
                tables: &$tables,
                postgres: script!("postgres", $version, $name),
                sqlite: script!("sqlite", $version, $name),
            },
        )+ ];
    };
}

macro_rules! script {
    ($folder:literal, $version:literal, $name:literal) => {
        Script {
            up: include_str!(concat!("../../../migrations/", $folder, "/", $version, "_", $name, "/up.sql")),
            down: include_str!(concat!(
                "../../../migrations/",
                $folder,
                "/",
                $version,
                "_",
                $name,
                "/down.sql"
            )),
        }
    };
}

ours! {
    "00000000000101" "sti_projects" makes [];
    "00000000000102" "sti_backfill_ledger" makes ["sti_backfill_run", "sti_backfill_chunk"];
    "00000000000103" "sti_repair_log" makes ["sti_repair_log"];
    "00000000000104" "sti_drop_event" makes ["sti_drop_event"];
    "00000000000105" "sti_legacy_archive" makes ["sti_legacy_archive", "sti_drop_permit"];
    "00000000000106" "sti_quarantine" makes ["sti_backfill_quarantine"];
    "00000000000107" "sti_backfill_control" makes ["sti_backfill_control", "sti_backfill_wait"];
    "00000000000108" "sti_change_log" makes ["sti_drop_run", "sti_change_log"];
}

/// The migration that drops the legacy columns, the only one of its set. It is recorded like the others, and fails
/// without the permit of `sti-migrate drop-legacy`, whoever runs it.
pub const DROP: OurMigration = OurMigration {
    version: "00000000000901",
    name: "drop_legacy_columns",
    tables: &[],
    postgres: script!("contract/postgres", "00000000000901", "drop_legacy_columns"),
    sqlite: script!("contract/sqlite", "00000000000901", "drop_legacy_columns"),
};

/// The migration that makes the three tables of the application where they are missing.
pub const PROJECTS: &str = OURS[0].version;

/// Our migrations as diesel takes them, for either backend. A harness gets the database's own error back, which
/// diesel's embedded source wraps in a type that nobody else can name.
#[derive(Clone, Copy, Debug)]
pub struct OurMigrations;

/// [`DROP`] as diesel takes it: the set of its own that `up` never runs.
#[derive(Clone, Copy, Debug)]
pub struct ContractMigrations;

macro_rules! source_for {
    ($backend:ty, $script:ident, $wrapper:ident) => {
        struct $wrapper(OurMigration);

        impl MigrationSource<$backend> for OurMigrations {
            fn migrations(&self) -> Result<Vec<Box<dyn Migration<$backend>>>> {
                Ok(OURS.iter().map(|m| Box::new($wrapper(*m)) as Box<dyn Migration<$backend>>).collect())
            }
        }

        impl MigrationSource<$backend> for ContractMigrations {
            fn migrations(&self) -> Result<Vec<Box<dyn Migration<$backend>>>> {
                Ok(vec![Box::new($wrapper(DROP))])
            }
        }

        impl Migration<$backend> for $wrapper {
            fn run(&self, connection: &mut dyn BoxableConnection<$backend>) -> Result<()> {
                execute(connection, self.0.$script.up)
            }

            fn revert(&self, connection: &mut dyn BoxableConnection<$backend>) -> Result<()> {
                execute(connection, self.0.$script.down)
            }

            fn metadata(&self) -> &dyn MigrationMetadata {
                &InTransaction
            }

            fn name(&self) -> &dyn MigrationName {
                &self.0
            }
        }
    };
}

source_for!(Pg, postgres, ForPostgres);
source_for!(Sqlite, sqlite, ForSqlite);

fn execute<DB: Backend>(connection: &mut dyn BoxableConnection<DB>, script: &str) -> Result<()> {
    Ok(connection.batch_execute(script)?)
}

/// The default of the trait: a transaction, or a savepoint of the one that is open.
struct InTransaction;

impl MigrationMetadata for InTransaction {}

/// `VERSION_NAME`, the name of the folder.
impl fmt::Display for OurMigration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.version, self.name)
    }
}

impl MigrationName for OurMigration {
    fn version(&self) -> MigrationVersion<'_> {
        self.version.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_in_the_list_and_nothing_else() {
        let ours: Vec<String> = OURS.iter().map(ToString::to_string).collect();
        let contract = vec![DROP.to_string()];
        for (folder, listed) in [
            ("postgres", &ours),
            ("sqlite", &ours),
            ("contract/postgres", &contract),
            ("contract/sqlite", &contract),
        ] {
            let folder = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut found: Vec<String> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            assert_eq!(found, *listed, "{folder}");
        }
    }

    #[test]
    fn our_versions_sort_before_every_host_version() {
        for migration in OURS.iter().chain([&DROP]) {
            assert!(migration.version.starts_with(super::super::PREFIX), "{migration}");
            assert_eq!(migration.version.len(), 14, "{migration}");
            // A host's versions are moments, and diesel is of 2015.
            assert!(migration.version < "20150101000000", "{migration}");
        }
    }
}
