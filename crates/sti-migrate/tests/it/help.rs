//! The help texts.

use crate::rig::{snapshot, sti_migrate};

#[test]
fn help_texts() {
    for (name, arguments) in [
        ("help_sti_migrate", &["--help"][..]),
        ("help_sti_migrate_up", &["up", "--help"]),
        ("help_sti_migrate_status", &["status", "--help"]),
        ("help_sti_migrate_drop_legacy", &["drop-legacy", "--help"]),
        ("help_sti_migrate_archive_purge", &["archive", "purge", "--help"]),
        ("help_sti_migrate_back_out", &["back-out", "--help"]),
        ("help_sti_migrate_sync", &["sync", "--help"]),
        ("help_sti_migrate_sync_install", &["sync", "install", "--help"]),
        ("help_sti_migrate_sync_status", &["sync", "status", "--help"]),
        ("help_sti_migrate_sync_remove", &["sync", "remove", "--help"]),
        ("help_sti_migrate_restore_legacy", &["restore-legacy", "--help"]),
    ] {
        snapshot(name, None, &mut sti_migrate(arguments), 0);
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &["no-such-command"][..],
        &["up", "--no-such-flag"],
        &[],
        &["up", "--create", "--dry-run"],
        &["up", "--attempts", "0"],
    ] {
        assert_eq!(sti_migrate(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
