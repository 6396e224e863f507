//! How the triggers come and go on a table that is in use.

use std::time::Duration;

use sti_core::backfill::{Ending, Scope};
use sti_core::contract::restore::Attempts;
use sti_core::sync::{Install, Remove, SyncError, install, remove};
use sti_core::test_support::postgres::{Cut, CuttingProxy};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{assert_level, insert_sql, installed, ours, problems, removed, run, save_sql};
use crate::backfill::rig::{config, run as backfill};
use crate::repository::rig::{migrate, owner};

/// Two attempts: one that is told of, and the last.
const TWICE: Attempts = Attempts { attempts: 2, lock_timeout: Duration::from_millis(50) };

#[test]
fn readers_do_not_stand_in_the_way_of_triggers_that_come() {
    let database = TestDatabase::postgres();
    migrate(&database);
    let reader = Session::open(&database, "reader");
    reader.run("BEGIN; SELECT count(*) FROM projects_project");
    installed(&database);
    // They do in that of triggers that go.
    let mut told = Vec::new();
    let error =
        remove(&mut || Ok(owner(&database)), TWICE, &mut |retry| told.push(retry.attempt)).unwrap_err();
    let SyncError::Locked { attempts: 2, holders, .. } = error else { panic!("{error}") };
    assert_eq!(told, [1]);
    assert_eq!(holders.iter().map(|holder| holder.application.as_str()).collect::<Vec<_>>(), ["reader"]);
    assert_eq!(problems(&database), Some(Vec::new()));
    reader.run("COMMIT");
    removed(&database);
}

#[test]
fn a_writer_does_and_is_named_and_not_harmed() {
    let database = TestDatabase::postgres();
    migrate(&database);
    let writer = Session::open(&database, "writer");
    writer.run(&format!("BEGIN; {}", insert_sql(1, "school", [Some("a"), None, None, None, None])));
    let error = install(&mut || Ok(owner(&database)), TWICE, &mut |_| {}).unwrap_err();
    let SyncError::Locked { attempts: 2, holders, .. } = &error else { panic!("{error}") };
    assert_eq!(holders[0].application, "writer");
    assert_eq!(problems(&database), None);
    writer.run("COMMIT");
    assert_eq!(database.count("projects_project"), 1);
}

/// What was written while the triggers were on their way is committed before they are there, and a backfill that begins
/// afterwards sees it.
#[test]
fn a_write_on_the_way_is_waited_for() {
    let database = TestDatabase::postgres();
    migrate(&database);
    let writer = Session::open(&database, "writer");
    writer.run(&format!("BEGIN; {}", insert_sql(1, "school", [Some("a"), None, None, None, None])));
    let url = database.url().to_owned();
    let installer = std::thread::spawn(move || {
        let url = sti_core::db::DatabaseUrl::parse(&url).unwrap();
        let locks = Attempts { attempts: 100, lock_timeout: Duration::from_millis(400) };
        install(
            &mut || sti_core::db::connect(&url, sti_core::db::Access::Write, "installer"),
            locks,
            &mut |_| {},
        )
        .unwrap()
    });
    wait_until_it_waits(&database, "installer");
    // Behind it in the queue, and so after it.
    let next = Session::open(&database, "next");
    next.start(&save_sql(1, "school", [Some("b"), None, None, None, None]));
    writer.run("COMMIT");
    assert!(matches!(installer.join().unwrap(), Install::Done { .. }));
    next.finish().unwrap();
    let done = backfill(&database, &config(10, Scope::All)).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_level(&database);
}

/// One statement changes the project and the row; who waits for the project sees both.
#[test]
fn two_writers_of_one_project_take_turns() {
    let database = ours();
    run(&database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    let (first, second) = (Session::open(&database, "first"), Session::open(&database, "second"));
    first.run(&format!("BEGIN; {}", save_sql(1, "self_study", [None, None, None, Some("goal"), None])));
    second.start(&save_sql(1, "school", [Some("b"), None, None, None, None]));
    assert!(second.comes_to_wait(&database));
    first.run("COMMIT");
    second.finish().unwrap();
    assert_level(&database);
}

/// What became of a COMMIT without an answer is looked up.
#[test]
fn a_lost_commit_is_looked_up() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let database = TestDatabase::postgres();
        migrate(&database);
        let attempts = if cut == Cut::BeforeCommit { 2 } else { 1 };
        let through = |proxy: &CuttingProxy| {
            let url = sti_core::db::DatabaseUrl::parse(proxy.url()).unwrap();
            move || sti_core::db::connect(&url, sti_core::db::Access::Write, "sync")
        };
        let proxy = CuttingProxy::before(&database, "CREATE OR REPLACE TRIGGER", cut);
        let installed = install(&mut through(&proxy), Attempts::default(), &mut |_| {}).unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        assert_eq!(installed, Install::Done { mended: Vec::new(), attempts }, "{cut:?}");
        let proxy = CuttingProxy::before(&database, "DROP TRIGGER", cut);
        let removed = remove(&mut through(&proxy), Attempts::default(), &mut |_| {}).unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        assert_eq!(removed, Remove::Done { attempts }, "{cut:?}");
    }
}
