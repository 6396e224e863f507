//! Several processes on one run, and what becomes of the chunk of one that does not go on.

use std::process::Output;

use sti_core::test_support::{Session, TestDatabase, check_ledger};

use super::process::Process;
use crate::kill::{CHUNK, Point, check_rows, hold_postgres, hold_sqlite, start_and_wait};
use crate::rig::{json, migrate, sti_on};

sti_core::both_backends! { django: two_processes_finish_one_run_although_one_is_killed, a_second_signal_leaves_at_once }

/// A database in which the run was not disturbed, and its report.
fn undisturbed(database: &TestDatabase) -> (TestDatabase, serde_json::Value) {
    let other = match database.backend_name() {
        "postgres" => TestDatabase::django_postgres(),
        _ => TestDatabase::django_sqlite(),
    };
    migrate(&other);
    let report = json(&sti_on(&other, &CHUNK).output().unwrap(), 1);
    (other, report)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn two_processes_finish_one_run_although_one_is_killed(database: &TestDatabase) {
    let (undisturbed, expected) = undisturbed(database);
    migrate(database);
    let start = || {
        let arguments =
            ["backfill", "--workers", "2", "--chunk", "20", "--pace", "0.5", "--verbose", "--format", "json"];
        Process::start(sti_on(database, &arguments))
    };
    let first = start();
    first.wait_until_it_says("chunk 3:");
    let second = start();
    second.wait_until_it_says("created");
    first.signal("KILL");
    let killed = first.end();
    assert_eq!(killed.status.code(), None, "it had not ended by itself: {}", said(&killed));
    let report = json(&second.end(), 1);
    assert_eq!((&report["resumed"], &report["ending"]), (&true.into(), &"complete".into()));
    assert_eq!(report["totals"], expected["totals"]);
    let (here, all) = (&report["this_process"]["locked"], &report["totals"]["locked"]);
    assert!(here.as_i64() < all.as_i64() && here.as_i64() > Some(0), "both did some: {here} of {all}");
    assert!(database.count("(SELECT DISTINCT owner FROM sti_backfill_chunk) owners") == 2);
    check_rows(database, &undisturbed);
    check_ledger(database);
}

/// The first one lets the chunk end, the second one does not.
fn a_second_signal_leaves_at_once(database: &TestDatabase) {
    let (undisturbed, expected) = undisturbed(database);
    migrate(database);
    let postgres = database.backend_name() == "postgres";
    let blocker = postgres.then(|| {
        hold_postgres(database, Point::Insert);
        let blocker = Session::open(database, "blocker");
        blocker.run("SELECT pg_advisory_lock(42)");
        blocker
    });
    if !postgres {
        hold_sqlite(database, Point::Insert);
    }
    let mut child = start_and_wait(database);
    let pid = child.id().to_string();
    let signal = || std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    signal();
    while child.try_wait().unwrap().is_none() {
        signal();
        std::thread::yield_now();
    }
    assert_eq!(child.wait().unwrap().code(), Some(3));
    if let Some(blocker) = blocker {
        blocker.run("SELECT pg_advisory_unlock(42)");
    }
    database.execute(database.either("DROP FUNCTION hold() CASCADE", "DROP TRIGGER hold"));
    assert_eq!(database.count("sti_backfill_chunk WHERE state = 'done'"), 4, "the fifth was rolled back");
    let resumed = json(&sti_on(database, &CHUNK).output().unwrap(), 1);
    assert_eq!(resumed["totals"], expected["totals"]);
    check_rows(database, &undisturbed);
    check_ledger(database);
}

/// A process stands still in the middle of a chunk: the server ends its transaction after 10 s, its lease runs out, and
/// another process does its chunk. When it goes on, it finds that the chunk is not its own any more.
#[test]
fn a_frozen_process_loses_its_chunk_and_cannot_commit_it() {
    let database = TestDatabase::django_postgres();
    let (undisturbed, expected) = undisturbed(&database);
    migrate(&database);
    hold_postgres(&database, Point::Insert);
    let blocker = Session::open(&database, "blocker");
    blocker.run("SELECT pg_advisory_lock(42)");
    let verbose = [&CHUNK[..], &["--verbose"]].concat();
    let frozen = Process::start(sti_on(&database, &verbose));
    frozen.wait_until_it_says("chunk 4:");
    sti_core::test_support::wait_until_it_waits(&database, "sti backfill");
    frozen.freeze();
    blocker.run("SELECT pg_advisory_unlock(42)");
    database.execute("DROP FUNCTION hold() CASCADE");

    let other = Process::start(sti_on(&database, &verbose));
    other.wait_until_it_says("waiting for the last chunk");
    // Waits until the server has ended the frozen transaction, which holds this row.
    database
        .execute("UPDATE sti_backfill_chunk SET lease_expires_at = clock_timestamp() WHERE state = 'leased'");
    let other = other.end();
    let report = json(&other, 1);
    assert!(said(&other).contains("chunk 5 is taken over from"), "{}", said(&other));
    assert_eq!(report["totals"], expected["totals"]);

    frozen.signal("CONT");
    let woken = frozen.end();
    let report = json(&woken, 1);
    let text = said(&woken);
    assert!(
        text.contains("chunk 5 has been taken over by another process; nothing of it was written here"),
        "{text}"
    );
    assert_eq!((&report["ending"], &report["totals"]), (&"complete".into(), &expected["totals"]));
    assert_eq!(report["this_process"]["locked"], 4 * 500 - drafts_in_four_chunks(&database));
    check_rows(&database, &undisturbed);
    check_ledger(&database);
}

/// Chunks are cut from all projects and lock those that are not drafts.
fn drafts_in_four_chunks(database: &TestDatabase) -> i64 {
    database.count(
        "projects_project WHERE is_draft AND id <= (SELECT through_id FROM sti_backfill_chunk WHERE number = 4)",
    )
}
