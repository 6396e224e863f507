//! What cannot be: exit code 2, nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sti_core::test_support::TestDatabase;

use super::rig::{WAIVED, digest, ready};
use crate::bad_input::for_ordinary_user;
use crate::rig::{on, snapshot, sti_migrate};

#[test]
fn arguments() {
    for (name, arguments) in [
        ("drop_bad_waiver", &["--waive", "stray-values"][..]),
        ("drop_bad_count", &["--waive", "stray-values=all"]),
        ("drop_bad_gate", &["--waive", "stray=1"]),
        ("drop_bad_not_waivable", &["--waive", "coverage=1"]),
        ("drop_bad_twice", &["--waive", "stray-values=1", "--waive", "stray-values=2"]),
        ("drop_bad_digest", &["--execute", "--confirm", "0123"]),
        ("drop_bad_max_lock", &["--max-lock", "2m"]),
        ("drop_bad_no_confirm", &["--execute"]),
        ("drop_bad_no_execute", &["--confirm", "0123456789ab"]),
        ("drop_bad_both", &["--rehearse", "--execute", "--confirm", "0123456789ab"]),
        ("drop_bad_attempts", &["--attempts", "0"]),
    ] {
        snapshot(name, None, &mut sti_migrate(&[&["drop-legacy"], arguments].concat()), 2);
    }
}

#[test]
fn databases() {
    for (name, url) in [
        // Port 1 of this machine: refused at once.
        ("drop_bad_unreachable", "postgres://u:s3cret@127.0.0.1:1/ocean"),
        ("drop_bad_no_file", "sqlite:/no/such/app.db"),
    ] {
        for how in [&[][..], &["--rehearse"], &["--execute", "--confirm", "0123456789ab"]] {
            let arguments = [&["drop-legacy", "--database-url", url], how].concat();
            snapshot(name, None, &mut sti_migrate(&arguments), 2);
        }
    }
}

#[test]
fn a_read_only_file() {
    let database = TestDatabase::sqlite();
    ready(&database);
    let digest = digest(&database);
    // Everything is in the file, and nothing in a log beside it.
    database.execute("PRAGMA journal_mode = DELETE");
    let before = fs::read(database.path().unwrap()).unwrap();
    let execute = [&["drop-legacy"], &WAIVED[..], &["--execute", "--confirm", &digest]].concat();
    let (mut command, path) = for_ordinary_user(&database, &execute);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    snapshot("drop_bad_read_only_file", Some(&database), &mut command, 2);
    // Looking is allowed.
    let (mut command, path) = for_ordinary_user(&database, &[&["drop-legacy"], &WAIVED[..]].concat());
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert_eq!(fs::read(path).unwrap(), before);
}

/// A role that owns nothing is told so by the gate.
#[test]
fn a_role_that_does_not_own_the_tables() {
    let database = TestDatabase::postgres();
    ready(&database);
    let url = database.application_role();
    database.execute(&format!(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}_app",
        database.value("SELECT current_database()")
    ));
    let plan = [&["drop-legacy", "--database-url", &url], &WAIVED[..]].concat();
    snapshot("drop_no_rights", None, &mut sti_migrate(&plan), 1);
    assert_eq!(
        on(&database, &[&["drop-legacy"], &WAIVED[..]].concat()).output().unwrap().status.code(),
        Some(0)
    );
}
