//! Killed at random moments, over and over, with a server that crashes now and then: what the ledger says is done is
//! done, and nothing is counted twice. `STI_TEST_KILLS` says how often it dies of a plain `kill -9` (`cargo xtask test
//! --long` sets it); the other faults come on top of that.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};
use sti_core::test_support::{TestDatabase, check_ledger};

use super::process::Process;
use crate::kill::{CHUNK, check_rows};
use crate::rig::{json, migrate, sti_on};

/// How many times by `kill -9` alone, if nothing else is said.
const KILLS: u32 = 20;

fn kills() -> u32 {
    std::env::var("STI_TEST_KILLS").map_or(KILLS, |text| text.parse().unwrap())
}

/// What happens to a running backfill.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    EndSessions,
    CrashServer,
}

fn backfill(database: &TestDatabase) -> Command {
    sti_on(database, &["backfill", "--workers", "2", "--chunk", "10", "--verbose", "--format", "json"])
}

/// The rows that are there are those that the ledger counts.
#[track_caller]
fn check_counts(database: &TestDatabase, before: [i64; 2], seed: u64) {
    check_ledger(database);
    for (kind, table, before) in [
        ("school", "projects_schoolproject", before[0]),
        ("self_study", "projects_selfstudyproject", before[1]),
    ] {
        let counted =
            database.value(&format!("SELECT COALESCE(sum(created_{kind}), 0) FROM sti_backfill_chunk"));
        assert_eq!((database.count(table) - before).to_string(), counted, "{table}, seed {seed}");
    }
}

fn rows(database: &TestDatabase) -> [i64; 2] {
    ["projects_schoolproject", "projects_selfstudyproject"].map(|table| database.count(table))
}

/// A run that has come to its end is what an undisturbed one is: the same totals, the same rows.
#[track_caller]
fn check_end(database: &TestDatabase, undisturbed: &TestDatabase, expected: &Value, seed: u64) {
    let runs = json(&sti_on(database, &["runs", "--limit", "1", "--format", "json"]).output().unwrap(), 0);
    let run = &runs["runs"][0];
    assert_eq!((&run["state"], &run["totals"]), (&"done".into(), &expected["totals"]), "seed {seed}");
    check_rows(database, undisturbed);
}

/// Strikes until it has died of so many `kill -9`; each run that comes to its end is checked, and made undone for the
/// next.
fn strike(database: &TestDatabase, undisturbed: &TestDatabase, faults: &[Fault], server: Option<&Server>) {
    migrate(undisturbed);
    let expected = json(&sti_on(undisturbed, &CHUNK).output().unwrap(), 1);
    migrate(database);
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let before = rows(database);
    database.execute(
        "CREATE TABLE s AS SELECT * FROM projects_schoolproject; \
         CREATE TABLE t AS SELECT * FROM projects_selfstudyproject",
    );
    let mut killed = 0;
    while killed < kills() {
        let mut process = Process::start(backfill(database));
        let fault = faults[random.usize(..faults.len())];
        process.wait_until_it_says("run ");
        std::thread::sleep(Duration::from_micros(random.u64(0..120_000)));
        let struck = !process.has_ended();
        if struck {
            match (fault, server) {
                (Fault::Kill, _) | (Fault::CrashServer, None) => process.signal("KILL"),
                (Fault::EndSessions, _) => database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = 'sti backfill' AND datname = current_database()",
                ),
                (Fault::CrashServer, Some(server)) => {
                    server.stop_immediate().unwrap();
                    server.start_again().unwrap();
                    process.signal(if random.bool() { "KILL" } else { "TERM" });
                }
            }
            if matches!(fault, Fault::EndSessions) {
                std::thread::sleep(Duration::from_micros(random.u64(0..300_000)));
                process.signal("KILL");
            }
        }
        let died_of_it = process.end().status.signal() == Some(9);
        if struck && died_of_it && matches!(fault, Fault::Kill) {
            killed += 1;
        }
        wait_for_sessions(database);
        check_counts(database, before, seed);
        if database.count("sti_backfill_run WHERE state = 'active'") == 0 {
            check_end(database, undisturbed, &expected, seed);
            start_over(database);
        }
    }
    let last = json(&backfill(database).output().unwrap(), 1);
    assert_eq!(last["totals"], expected["totals"], "seed {seed}");
    check_end(database, undisturbed, &expected, seed);
    check_counts(database, before, seed);
}

/// A killed process leaves a session that may still commit what it was told to.
fn wait_for_sessions(database: &TestDatabase) {
    if database.backend_name() == "sqlite" {
        return;
    }
    let sessions =
        "pg_stat_activity WHERE application_name = 'sti backfill' AND datname = current_database()";
    while database.count(sessions) > 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn start_over(database: &TestDatabase) {
    database.execute(
        "DELETE FROM projects_schoolproject; INSERT INTO projects_schoolproject SELECT * FROM s; \
         DELETE FROM projects_selfstudyproject; INSERT INTO projects_selfstudyproject SELECT * FROM t; \
         DELETE FROM sti_backfill_wait; DELETE FROM sti_backfill_chunk; DELETE FROM sti_backfill_run",
    );
}

#[test]
fn postgres() {
    let durable = ServerOptions::new().setting("synchronous_commit", "on");
    let server = Server::start(&Binaries::from_environment().unwrap(), &durable).unwrap();
    let database = TestDatabase::django_postgres_on(&server);
    let faults = [Fault::Kill, Fault::Kill, Fault::Kill, Fault::EndSessions, Fault::CrashServer];
    strike(&database, &TestDatabase::django_postgres(), &faults, Some(&server));
}

#[test]
fn sqlite() {
    strike(&TestDatabase::django_sqlite(), &TestDatabase::django_sqlite(), &[Fault::Kill], None);
}
