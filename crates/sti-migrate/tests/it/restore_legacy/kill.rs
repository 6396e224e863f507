//! `kill -9` in the middle of a restore: the next command goes on, and every value is there.

use std::process::Stdio;

use sti_core::both_backends;
use sti_core::test_support::TestDatabase;

use super::rig::{dropped, goes_on_to_the_end, leftovers, restore_legacy};
use crate::drop_legacy::rig::{json, legacy};
use crate::held::Held;

both_backends! {
    while_recording_the_beginning,
    while_taking_back_the_migration,
    while_refilling,
    while_recording_the_chunk,
    while_recording_the_restore,
    while_committing_the_restore,
    while_finishing,
}

const RESTORE: &str = "sti-migrate restore-legacy";

const fn held(table: &'static str, event: &'static str, condition: &'static str) -> Held {
    Held { table, event, condition, at_commit: false }
}

fn kill_at(database: &TestDatabase, held: Held) -> String {
    let values = dropped(database);
    held.kill(database, RESTORE, || {
        let mut command = restore_legacy(database, &["--chunk", "2"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    });
    values
}

fn while_recording_the_beginning(database: &TestDatabase) {
    let at = held("sti_drop_event", "BEFORE UPDATE", "OLD.restore_began_at IS NULL");
    let values = kill_at(database, at);
    assert_eq!(leftovers(database), 0, "all of the first step, or nothing");
    goes_on_to_the_end(database, &values);
}

fn while_taking_back_the_migration(database: &TestDatabase) {
    let values = kill_at(database, held("__diesel_schema_migrations", "BEFORE DELETE", "true"));
    assert_eq!(leftovers(database), 0);
    goes_on_to_the_end(database, &values);
}

fn while_refilling(database: &TestDatabase) {
    let at = held("projects_project", "BEFORE UPDATE", "NEW.id > '00000000000000000000000000000002'");
    let values = kill_at(database, at);
    assert_eq!(
        database.count("sti_drop_event WHERE refilled_through IS NOT NULL"),
        1,
        "the first chunk stays"
    );
    let done = json(&mut restore_legacy(database, &[]), 0);
    assert_eq!(done["refilled"]["projects"], 3);
    goes_on_to_the_end(database, &values);
}

fn while_recording_the_chunk(database: &TestDatabase) {
    let at =
        held("sti_drop_event", "BEFORE UPDATE", "NEW.refilled_through > '00000000000000000000000000000002'");
    let values = kill_at(database, at);
    goes_on_to_the_end(database, &values);
}

const RESTORED: &str = "NEW.restored_at IS NOT NULL AND OLD.restored_at IS NULL";

fn while_recording_the_restore(database: &TestDatabase) {
    let values = kill_at(database, held("sti_drop_event", "BEFORE UPDATE", RESTORED));
    assert_eq!(database.count("sti_drop_event WHERE restored_at IS NULL"), 1);
    let done = json(&mut restore_legacy(database, &[]), 0);
    assert_eq!((&done["outcome"], &done["refilled"]["projects"]), (&"done".into(), &0.into()));
    goes_on_to_the_end(database, &values);
}

/// PostgreSQL finishes a COMMIT whose client has died.
fn while_committing_the_restore(database: &TestDatabase) {
    let at = Held { at_commit: true, ..held("sti_drop_event", "AFTER UPDATE", RESTORED) };
    let values = kill_at(database, at);
    let made = i64::from(database.backend_name() == "postgres");
    assert_eq!(database.count("sti_drop_event WHERE restored_at IS NOT NULL"), made);
    goes_on_to_the_end(database, &values);
}

fn while_finishing(database: &TestDatabase) {
    let values = dropped(database);
    json(&mut restore_legacy(database, &[]), 0);
    held("sti_drop_event", "BEFORE UPDATE", "NEW.finished_at IS NOT NULL").kill(
        database,
        "sti-migrate restore-legacy --finish",
        || {
            let mut command = restore_legacy(database, &["--finish"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        },
    );
    assert!(leftovers(database) > 0, "all of it, or nothing");
    assert_eq!(legacy(database), values);
    goes_on_to_the_end(database, &values);
}
