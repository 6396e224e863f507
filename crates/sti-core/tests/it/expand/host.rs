//! A host application that keeps its own diesel migrations in the same database.

use std::fs;
use std::path::Path;

use diesel::backend::Backend;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use sti_core::both_backends;
use sti_core::db::AnyConnection;
use sti_core::expand::{self, Note};
use sti_core::test_support::TestDatabase;

use super::rig::{definitions, open, plan, up};

both_backends! {
    a_host_s_own_migrations_live_beside_ours,
    a_host_may_come_after_us,
    a_host_takes_back_its_own_and_never_ours,
    a_host_that_takes_back_all_stops_before_ours,
    versions_like_ours_are_pointed_out,
}

/// A host's folder of migrations, each of which makes one table.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn add(&self, version: &str, table: &str) {
        let folder = self.folder.path().join(format!("{version}_{table}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("up.sql"), format!("CREATE TABLE {table} (id integer);")).unwrap();
        fs::write(folder.join("down.sql"), format!("DROP TABLE {table};")).unwrap();
    }

    fn pending(&self, database: &TestDatabase) -> Vec<String> {
        match &mut open(database) {
            AnyConnection::Pg(c) => pending(c, self.folder.path()),
            AnyConnection::Sqlite(c) => pending(c, self.folder.path()),
        }
    }

    fn run(&self, database: &TestDatabase) {
        match &mut open(database) {
            AnyConnection::Pg(c) => run(c, self.folder.path()),
            AnyConnection::Sqlite(c) => run(c, self.folder.path()),
        }
    }

    /// What `diesel migration revert` does; the version that was taken back.
    fn revert(&self, database: &TestDatabase) -> Result<String, String> {
        match &mut open(database) {
            AnyConnection::Pg(c) => revert(c, self.folder.path()),
            AnyConnection::Sqlite(c) => revert(c, self.folder.path()),
        }
    }
}

fn pending<DB: Backend>(connection: &mut impl MigrationHarness<DB>, folder: &Path) -> Vec<String> {
    let source = FileBasedMigrations::from_path(folder).unwrap();
    connection.pending_migrations(source).unwrap().iter().map(|m| m.name().version().to_string()).collect()
}

fn run<DB: Backend>(connection: &mut impl MigrationHarness<DB>, folder: &Path) {
    connection.run_pending_migrations(FileBasedMigrations::from_path(folder).unwrap()).unwrap();
}

fn revert<DB: Backend>(connection: &mut impl MigrationHarness<DB>, folder: &Path) -> Result<String, String> {
    let source = FileBasedMigrations::from_path(folder).unwrap();
    connection.revert_last_migration(source).map(|version| version.to_string()).map_err(|e| e.to_string())
}

fn a_host_s_own_migrations_live_beside_ours(database: &TestDatabase) {
    let host = Host::new();
    // The one that `diesel setup` makes has the version 0.
    host.add("00000000000000", "diesel_initial_setup");
    host.add("2024-05-06-070809", "books");
    host.run(database);

    let report = up(database).unwrap();
    assert!(report.changed());
    assert_eq!((report.plan.others, report.plan.notes), (2, vec![]));
    assert_eq!(host.pending(database), Vec::<String>::new());

    host.add("2025-05-06-070809", "readers");
    assert_eq!(host.pending(database), ["20250506070809"]);
    host.run(database);
    assert_eq!(host.pending(database), Vec::<String>::new());

    let status = expand::status(&mut open(database)).unwrap();
    assert_eq!(status.others, 3);
    assert!(status.migrations.iter().all(|ours| ours.applied));
    let before = definitions(database);
    assert!(!up(database).unwrap().changed());
    assert_eq!(definitions(database), before);
}

fn a_host_may_come_after_us(database: &TestDatabase) {
    up(database).unwrap();
    let host = Host::new();
    host.add("2024-05-06-070809", "books");
    assert_eq!(host.pending(database), ["20240506070809"]);
    host.run(database);
    assert_eq!(plan(database).others, 1);
    assert!(plan(database).is_done());
}

fn revert_all<DB: Backend>(connection: &mut impl MigrationHarness<DB>, folder: &Path) -> Result<(), String> {
    let source = FileBasedMigrations::from_path(folder).unwrap();
    connection.revert_all_migrations(source).map(drop).map_err(|e| e.to_string())
}

fn a_host_that_takes_back_all_stops_before_ours(database: &TestDatabase) {
    let host = Host::new();
    host.add("2024-05-06-070809", "books");
    host.add("2025-05-06-070809", "readers");
    up(database).unwrap();
    let before = definitions(database);
    host.run(database);
    let reverted = match &mut open(database) {
        AnyConnection::Pg(c) => revert_all(c, host.folder.path()),
        AnyConnection::Sqlite(c) => revert_all(c, host.folder.path()),
    };
    assert!(reverted.unwrap_err().contains("Unable to find migration version 00000000000"));
    assert_eq!(host.pending(database), ["20240506070809", "20250506070809"]);
    assert_eq!(definitions(database), before);
    assert!(plan(database).is_done());
}

fn a_host_takes_back_its_own_and_never_ours(database: &TestDatabase) {
    let host = Host::new();
    host.add("2024-05-06-070809", "books");
    host.run(database);
    up(database).unwrap();
    host.add("2025-05-06-070809", "readers");
    host.run(database);
    assert_eq!(host.revert(database).unwrap(), "20250506070809");
    assert_eq!(host.revert(database).unwrap(), "20240506070809");

    let before = definitions(database);
    let refused = host.revert(database).unwrap_err();
    assert!(refused.contains("Unable to find migration version 00000000000"), "{refused}");
    assert_eq!(definitions(database), before);
    assert!(plan(database).is_done());
    assert_eq!(host.pending(database), ["20240506070809", "20250506070809"]);
}

fn versions_like_ours_are_pointed_out(database: &TestDatabase) {
    up(database).unwrap();
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('00000000000999')");
    let note = Note::UnknownVersions(vec!["00000000000999".to_owned()]);
    assert_eq!(plan(database).notes, [note]);
}
