//! `sti backfill` with the flag off, where sync triggers carry over what is written meanwhile.

use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::sync::{Attempts, install, remove};
use sti_core::test_support::{TestDatabase, migrate, shown};

use crate::pause::{Running, told};
use crate::rig::sti;

fn backfill(database: &TestDatabase) -> (Option<i32>, String) {
    let output = sti(&["backfill", "--database-url", database.url()]).output().unwrap();
    (output.status.code(), shown(&output))
}

#[test]
fn the_triggers_stand_for_the_flag_if_all_of_them_are_there() {
    let database = TestDatabase::postgres();
    migrate(&database);
    database.execute(
        "INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id) \
         VALUES (gen_random_uuid(), 'p', 'school', false, now(), now(), 1)",
    );
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let mut connector = || connect(&url, Access::Write, "test");
    install(&mut connector, Attempts::default(), &mut |_| {}).unwrap();

    database.execute("ALTER TABLE projects_project DISABLE TRIGGER sti_sync_update");
    let (exit, said) = backfill(&database);
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("refused: ENABLE_STI is off here"), "{said}");
    assert!(said.contains("And sync triggers are there and not as they should be"), "{said}");
    assert_eq!(database.count("projects_schoolproject"), 0);

    install(&mut connector, Attempts::default(), &mut |_| {}).unwrap();
    let (exit, said) = backfill(&database);
    assert_eq!(exit, Some(0), "{said}");
    let told = "ENABLE_STI is off here; the sync triggers carry over what is written to the legacy columns meanwhile";
    assert!(said.contains(told), "{said}");
    assert_eq!(database.count("projects_schoolproject"), 1);
}

/// Whoever relied on them has to know.
#[test]
fn triggers_that_go_on_the_way_are_missed() {
    let database = TestDatabase::postgres();
    migrate(&database);
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let mut connector = || connect(&url, Access::Write, "test");
    install(&mut connector, Attempts::default(), &mut |_| {}).unwrap();
    told(&database, &["pause", "--reason", "wait"]).output().unwrap();
    let arguments = ["backfill", "--database-url", database.url(), "--format", "json"];
    let mut backfill = Running::of(&mut sti(&arguments));
    backfill.until("waiting: paused");
    remove(&mut connector, Attempts::default(), &mut |_| {}).unwrap();
    told(&database, &["resume"]).output().unwrap();
    backfill.until("warning: the sync triggers that were there at the beginning are not there any more");
    assert_eq!(backfill.end(1)["ending"], "complete");
}
