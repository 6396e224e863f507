//! The help texts.

use crate::rig::{shown, sti};

#[test]
fn help_texts() {
    for (name, arguments) in [
        ("sti", &["--help"][..]),
        ("sti_backfill", &["backfill", "--help"]),
        ("sti_pause", &["pause", "--help"]),
        ("sti_resume", &["resume", "--help"]),
        ("sti_cancel", &["cancel", "--help"]),
        ("sti_status", &["status", "--help"]),
        ("sti_runs", &["runs", "--help"]),
        ("sti_counts", &["counts", "--help"]),
        ("sti_gate", &["gate", "--help"]),
        ("sti_baseline", &["baseline", "--help"]),
        ("sti_quarantine", &["quarantine", "--help"]),
        ("sti_quarantine_list", &["quarantine", "list", "--help"]),
        ("sti_quarantine_retry", &["quarantine", "retry", "--help"]),
    ] {
        insta::assert_snapshot!(format!("help_{name}"), shown(&sti(arguments).output().unwrap()));
    }
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [&["no-such-command"][..], &["backfill", "--no-such-flag"], &[]] {
        assert_eq!(sti(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
