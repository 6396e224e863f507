//! A small database whose columns are dropped.

use std::process::Command;

use sti_core::test_support::TestDatabase;

use crate::drop_legacy::rig::{digest, drop_legacy, json, legacy, ready};
use crate::rig::on;

/// Five projects, dropped by the command; gives the digest of the legacy columns as they were.
#[track_caller]
pub(crate) fn dropped(database: &TestDatabase) -> String {
    ready(database);
    let values = legacy(database);
    drop_again(database);
    values
}

#[track_caller]
pub(crate) fn drop_again(database: &TestDatabase) {
    let digest = digest(database);
    let done = json(&mut drop_legacy(database, &["--execute", "--confirm", &digest]), 0);
    assert_eq!(done["outcome"], "done");
}

pub(crate) fn restore_legacy(database: &TestDatabase, arguments: &[&str]) -> Command {
    on(database, &[&["restore-legacy"], arguments].concat())
}

/// As if the columns had been back for an hour, so that `--finish` has nothing to wait for.
pub(crate) fn long_ago(database: &TestDatabase) {
    let ago = database.either("now() - interval '1 hour'", "datetime('now', '-1 hour')");
    database.execute(&format!(
        "UPDATE sti_drop_event SET restore_began_at = {ago}, restored_at = {ago} WHERE finished_at IS NULL \
         AND restored_at IS NOT NULL"
    ));
}

/// How many triggers, functions and other things of a restore are there.
pub(crate) fn leftovers(database: &TestDatabase) -> i64 {
    database.count(database.either(
        "(SELECT tgname FROM pg_trigger WHERE tgname LIKE 'sti_restore%' \
          UNION ALL SELECT relname FROM pg_class WHERE relname LIKE 'sti_restore%' \
          UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'sti_restore%') t",
        "sqlite_schema WHERE name LIKE 'sti_restore%'",
    ))
}

/// The restore comes to its end, whatever was before: the values are there, nothing is left over.
#[track_caller]
pub(crate) fn goes_on_to_the_end(database: &TestDatabase, values: &str) {
    let done = json(&mut restore_legacy(database, &[]), 0);
    assert!(done["outcome"] == "done" || done["outcome"] == "already", "{done}");
    assert_eq!(legacy(database), values);
    long_ago(database);
    let finished = json(&mut restore_legacy(database, &["--finish"]), 0);
    assert!(finished["outcome"] == "done" || finished["outcome"] == "already", "{finished}");
    assert_eq!(leftovers(database), 0);
    assert_eq!(database.count("sti_drop_event WHERE finished_at IS NOT NULL"), 1);
    assert_eq!(database.count("__diesel_schema_migrations WHERE version = '00000000000901'"), 0);
    assert_eq!(database.count("sti_legacy_archive"), 5);
}
