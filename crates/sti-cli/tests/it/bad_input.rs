//! Bad input: one clear message that names the thing and the next step, exit code 2, nothing written, no password.

use std::process::Command;

use sti_core::test_support::TestDatabase;

use crate::rig::{migrate, settings, shown, sti, sti_on};

fn refused(name: &str, command: &mut Command) {
    let output = command.output().unwrap();
    let shown = shown(&output);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    settings(None).bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn urls() {
    refused("no_url", &mut sti(&["counts"]));
    refused("unknown_scheme", &mut sti(&["counts", "--database-url", "mysql://u:s3cret@host/db"]));
    refused("no_scheme", &mut sti(&["counts", "--database-url", "u:s3cret@host/db"]));
    refused("no_database", &mut sti(&["counts", "--database-url", "postgres://u:s3cret@localhost"]));
    refused("bad_port", &mut sti(&["counts", "--database-url", "postgres://u:s3cret@localhost:x/db"]));
    refused("no_file", &mut sti(&["counts", "--database-url", "sqlite:/no/such/app.db"]));
    refused("remote_plain_text", &mut sti(&["counts", "--database-url", "postgres://u:s3cret@db.example/x"]));
}

#[test]
fn an_unreachable_host() {
    // Port 1 of this machine: refused at once.
    let url = "postgres://u:s3cret@127.0.0.1:1/ocean";
    refused("unreachable", sti(&["backfill", "--database-url", url]).env("ENABLE_STI", "true"));
}

#[test]
fn chunk_sizes() {
    let database = TestDatabase::sqlite();
    for (name, chunk) in [("chunk_0", "0"), ("chunk_too_large", "50001"), ("chunk_no_number", "many")] {
        refused(name, &mut sti_on(&database, &["backfill", "--chunk", chunk]));
    }
}

#[test]
fn throttles_and_limits() {
    let database = TestDatabase::sqlite();
    for (name, flag, value) in [
        ("window_without_offset", "--window", "02:00-04:00"),
        ("window_of_no_length", "--window", "02:00-02:00Z"),
        ("pace_of_nothing", "--pace", "1"),
        ("pace_no_number", "--pace", "slow"),
        ("max_lag_no_time", "--max-lag", "10 parsecs"),
    ] {
        refused(name, &mut sti_on(&database, &["backfill", flag, value]));
    }
    refused("runs_limit_0", &mut sti_on(&database, &["runs", "--limit", "0"]));
    refused("watch_0", &mut sti_on(&database, &["status", "--watch", "0"]));
    migrate(&database);
    refused("max_lag_on_sqlite", &mut sti_on(&database, &["backfill", "--max-lag", "10s"]));
    assert_eq!(database.count("sti_backfill_run"), 0);
}

sti_core::both_backends! { a_missing_table }

fn a_missing_table(database: &TestDatabase) {
    refused("missing_table", &mut sti_on(database, &["backfill"]));
    refused("missing_table_dry_run", &mut sti_on(database, &["backfill", "--dry-run"]));
}

sti_core::both_backends! { django: a_wrong_column_type }

fn a_wrong_column_type(database: &TestDatabase) {
    migrate(database);
    database.execute(database.either(
        "ALTER TABLE projects_schoolproject ALTER COLUMN course_code TYPE integer USING 0",
        "ALTER TABLE projects_schoolproject DROP COLUMN course_code; \
         ALTER TABLE projects_schoolproject ADD COLUMN course_code integer NOT NULL DEFAULT 0",
    ));
    let name = |name: &str| format!("{name}_{}", database.backend_name());
    refused(&name("wrong_column_type"), &mut sti_on(database, &["backfill"]));
    refused(&name("wrong_column_type_dry_run"), &mut sti_on(database, &["backfill", "--dry-run"]));
    assert_eq!(database.count("sti_backfill_run"), 0);
}

#[test]
fn a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    std::fs::write(&path, "this is a text and no database at all, and it is long enough to be looked at")
        .unwrap();
    refused(
        "no_database_file",
        &mut sti(&["counts", "--database-url", &format!("sqlite:{}", path.display())]),
    );
}

/// Files that may not be written, as the user sees them that may not: root may do everything.
#[test]
fn a_read_only_file() {
    let database = TestDatabase::django_sqlite();
    migrate(&database);
    let path = database.path().unwrap();
    let before = std::fs::read(path).unwrap();
    let mut permissions = std::fs::metadata(path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions).unwrap();
    // The user must reach the file, and the program.
    let folder = path.parent().unwrap();
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.join("sti");
    // Copied by another process: a file that this one has open for writing cannot be run.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_sti")).arg(&program).status().unwrap().success());
    let mut command = Command::new(program);
    command.args(["backfill", "--database-url", database.url()]).env("ENABLE_STI", "true").current_dir("/");
    sti_core::test_support::postgres::as_ordinary_user(&mut command).unwrap();
    refused("read_only_file", &mut command);
    assert_eq!(std::fs::read(path).unwrap(), before);
}

/// A limit on the size of files stands for a full disk: every write beyond it fails.
#[test]
fn a_full_disk() {
    let database = TestDatabase::django_sqlite();
    migrate(&database);
    let path = database.path().unwrap();
    let before = std::fs::read(path).unwrap();
    let blocks = before.len() / 512 + 64;
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {} backfill --chunk 20000 --database-url {}",
        env!("CARGO_BIN_EXE_sti"),
        database.url()
    );
    refused("full_disk", Command::new("sh").args(["-c", &script]).env("ENABLE_STI", "true"));
    assert_eq!(database.count("projects_schoolproject"), 60, "as the fixture has them");
    assert_eq!(database.count("sti_backfill_chunk WHERE state = 'done'"), 0);
}
