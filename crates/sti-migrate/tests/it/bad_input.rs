//! Bad input: one clear message that names the thing and the next step, exit code 2, nothing changed, no password.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::as_ordinary_user;

use crate::rig::{on, snapshot, sti_migrate, tables};

#[test]
fn urls() {
    for (name, url) in [
        ("bad_unknown_scheme", "mysql://u:s3cret@host/db"),
        ("bad_no_database", "postgres://u:s3cret@localhost"),
        ("bad_no_host", "postgres:///ocean"),
        ("bad_plain_text", "postgres://u:s3cret@db.example/ocean"),
        // Port 1 of this machine: refused at once.
        ("bad_unreachable", "postgres://u:s3cret@127.0.0.1:1/ocean"),
    ] {
        snapshot(name, None, &mut sti_migrate(&["up", "--database-url", url]), 2);
    }
    snapshot("bad_no_url", None, &mut sti_migrate(&["status"]), 2);
    let missing = ["status", "--database-url", "sqlite:/no/such/app.db"];
    snapshot("bad_no_file", None, &mut sti_migrate(&missing), 2);
}

#[test]
fn a_file_that_is_no_database() {
    let database = TestDatabase::sqlite();
    let path = database.path().unwrap();
    let text = "this is a text and no database at all, and it is long enough to be looked at as one";
    fs::write(path, text).unwrap();
    snapshot("bad_no_database_file", Some(&database), &mut on(&database, &["up"]), 2);
    snapshot("bad_no_database_file_status", Some(&database), &mut on(&database, &["status"]), 2);
    assert_eq!(fs::read_to_string(path).unwrap(), text);
}

/// The binary for a user that may not do everything, as root may: beside the database, in a folder that all can read.
pub(crate) fn for_ordinary_user(database: &TestDatabase, arguments: &[&str]) -> (Command, PathBuf) {
    let path = database.path().unwrap().to_path_buf();
    let folder = path.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("sti-migrate");
    // Copied by another process: a file that this one has open for writing cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_sti-migrate")).arg(&program).status().unwrap();
    assert!(copied.success());
    let mut command = Command::new(program);
    command.args(arguments).args(["--database-url", database.url()]).current_dir("/");
    as_ordinary_user(&mut command).unwrap();
    (command, path)
}

#[test]
fn a_read_only_file() {
    let database = TestDatabase::django_sqlite();
    let before = fs::read(database.path().unwrap()).unwrap();
    let (mut command, path) = for_ordinary_user(&database, &["up"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    snapshot("bad_read_only_file", Some(&database), &mut command, 2);
    assert_eq!(fs::read(&path).unwrap(), before);
    // Looking is allowed.
    let (mut command, _) = for_ordinary_user(&database, &["status"]);
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

/// The file may be written and its folder not: SQLite has no place for its journal.
#[test]
fn a_read_only_folder() {
    let database = TestDatabase::django_sqlite();
    let before = fs::read(database.path().unwrap()).unwrap();
    let (mut command, path) = for_ordinary_user(&database, &["up"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let folder: &Path = path.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    snapshot("bad_read_only_folder", Some(&database), &mut command, 2);
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// A limit on the size of files stands for a full disk: every write beyond it fails.
#[test]
fn a_full_disk() {
    let database = TestDatabase::django_sqlite();
    let before = tables(&database);
    let blocks = fs::metadata(database.path().unwrap()).unwrap().len() / 512;
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec {} up --database-url {}",
        env!("CARGO_BIN_EXE_sti-migrate"),
        database.url()
    );
    snapshot("bad_full_disk", Some(&database), Command::new("sh").args(["-c", &script]), 2);
    assert_eq!(tables(&database), before);
    assert_eq!(on(&database, &["up"]).output().unwrap().status.code(), Some(0), "with room it works");
}

#[test]
fn a_role_that_may_make_nothing() {
    let database = TestDatabase::django_postgres();
    let url = database.application_role();
    database.grant_application(&["projects_project"]);
    let before = tables(&database);
    snapshot("bad_no_rights", None, &mut sti_migrate(&["up", "--database-url", &url]), 2);
    snapshot(
        "bad_no_rights_dry_run",
        None,
        &mut sti_migrate(&["up", "--dry-run", "--database-url", &url]),
        2,
    );
    assert_eq!(tables(&database), before);
    // Looking is allowed.
    let status = sti_migrate(&["status", "--database-url", &url]).output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{status:?}");
}
