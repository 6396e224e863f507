//! The progress of a backfill beside others on the same run.

use std::process::Command;

use sti_core::test_support::TestDatabase;

use crate::pause::Running;
use crate::rig::{migrate, sti_on};

sti_core::both_backends! { django: what_others_have_done_is_in_the_lines }

/// Another process has committed 5,000 projects, as the ledger says; this one rests nearly all of the time.
fn what_others_have_done_is_in_the_lines(database: &TestDatabase) {
    migrate(database);
    let mut backfill = Running::of(&mut sti_on(database, &["backfill", "--chunk", "20", "--pace", "0.99"]));
    backfill.until(" projects (");
    database.execute(
        "INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, lease_expires_at, \
            locked, equal_school) \
         SELECT run_id, 0, 1, through_id, 'done', 'x', 'other/1/x', lease_expires_at, 5000, 5000 \
         FROM sti_backfill_chunk WHERE number = 1",
    );
    let line = backfill.until(" projects (");
    let swept: i64 = line.split(" of ").next().unwrap().replace(',', "").parse().unwrap();
    assert!((5_000..8_000).contains(&swept), "{line}");
    let pid = backfill.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(backfill.child.wait().unwrap().code(), Some(3));
}
