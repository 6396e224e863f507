//! `kill -9` in the middle of a backfill, then the same command: the same rows and the same totals as an undisturbed
//! run. The process is held at a chosen statement by a trigger: on PostgreSQL it waits for an advisory lock, on SQLite
//! it computes for longer than the test needs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sti_core::test_support::{Session, TestDatabase, check_ledger, wait_until_it_waits};

use crate::rig::{json, migrate, sti_on};

/// Where the process is killed, in its fifth chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point {
    /// The chunk has its lease in the ledger's transaction, which is not committed.
    Lease,
    /// Some rows of the chunk are inserted.
    Insert,
    /// All rows are inserted, the ledger is being written.
    Record,
    /// The COMMIT is under way: PostgreSQL finishes it after its client has died.
    Commit,
}

pub(crate) const CHUNK: [&str; 5] = ["backfill", "--chunk", "500", "--format", "json"];
const HELD: &str = "5";

pub(crate) fn hold_postgres(database: &TestDatabase, point: Point) {
    let (table, when, event, condition) = match point {
        Point::Lease => ("sti_backfill_chunk", "", "BEFORE INSERT", format!("NEW.number = {HELD}")),
        // The ids of the fixture are random: the fifth chunk of twenty holds those from about 0x33 to 0x40.
        Point::Insert => (
            "projects_schoolproject",
            "",
            "BEFORE INSERT",
            "NEW.project_id > '36000000000000000000000000000000'".to_owned(),
        ),
        Point::Record => ("sti_backfill_chunk", "", "BEFORE UPDATE", format!("NEW.number = {HELD}")),
        Point::Commit => ("sti_backfill_chunk", "CONSTRAINT", "AFTER UPDATE", format!("NEW.number = {HELD}")),
    };
    let deferred = if when.is_empty() { "" } else { "DEFERRABLE INITIALLY DEFERRED" };
    database.execute(&format!(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            IF {condition} THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END $$; \
         CREATE {when} TRIGGER hold {event} ON {table} {deferred} FOR EACH ROW EXECUTE FUNCTION hold()"
    ));
}

pub(crate) fn hold_sqlite(database: &TestDatabase, point: Point) {
    let (table, event, condition) = match point {
        Point::Lease => ("sti_backfill_chunk", "INSERT", format!("NEW.number = {HELD}")),
        Point::Insert => (
            "projects_schoolproject",
            "INSERT",
            "NEW.project_id > '36000000000000000000000000000000'".to_owned(),
        ),
        Point::Record | Point::Commit => ("sti_backfill_chunk", "UPDATE", format!("NEW.number = {HELD}")),
    };
    let when = if matches!(point, Point::Commit) { "AFTER" } else { "BEFORE" };
    database.execute(&format!(
        "CREATE TRIGGER hold {when} {event} ON {table} WHEN {condition} BEGIN \
            SELECT count(*) FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000000000) \
                SELECT n FROM c); END"
    ));
}

/// Starts the backfill and waits until it stands at the point.
pub(crate) fn start_and_wait(database: &TestDatabase) -> Child {
    let mut command = sti_on(database, &CHUNK);
    command.arg("--verbose").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut seen = Vec::new();
    for line in lines {
        seen.push(line.unwrap());
        if seen.last().unwrap().contains("chunk 4:") {
            break;
        }
    }
    assert!(seen.last().unwrap().contains("chunk 4:"), "{seen:#?}");
    if database.backend_name() == "postgres" {
        wait_until_it_waits(database, "sti backfill");
    } else {
        wait_for_a_writer(database);
    }
    child
}

/// Waits until some process is in a write transaction of the SQLite file, and has been for a while: the lease's own is
/// over in a moment unless it is the one that is held.
fn wait_for_a_writer(database: &TestDatabase) {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;
    let mut connection =
        diesel::SqliteConnection::establish(database.path().unwrap().to_str().unwrap()).unwrap();
    let begun = Instant::now();
    let mut busy_since = None;
    while begun.elapsed() < Duration::from_secs(30) {
        if connection.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_err() {
            if busy_since.get_or_insert_with(Instant::now).elapsed() > Duration::from_millis(300) {
                return;
            }
        } else {
            busy_since = None;
        }
        std::thread::yield_now();
    }
    panic!("no write transaction within 30 s");
}

fn totals(report: &Value) -> &Value {
    &report["totals"]
}

/// The subtype tables hold the same rows.
#[track_caller]
pub(crate) fn check_rows(database: &TestDatabase, undisturbed: &TestDatabase) {
    for (table, columns) in [
        ("projects_schoolproject", &["course_name", "course_code", "teacher_name"][..]),
        ("projects_selfstudyproject", &["goal_description", "study_frequency"]),
    ] {
        let [here, there] =
            [database, undisturbed].map(|database| database.digest(table, "project_id", columns));
        assert_eq!(here.to_string(), there.to_string(), "{table}");
    }
}

fn kill_at(database: &TestDatabase, undisturbed: &TestDatabase, point: Point) {
    migrate(undisturbed);
    let expected = json(&sti_on(undisturbed, &CHUNK).output().unwrap(), 1);
    migrate(database);
    if database.backend_name() == "postgres" {
        hold_postgres(database, point);
        let blocker = Session::open(database, "blocker");
        blocker.run("SELECT pg_advisory_lock(42)");
        let mut child = start_and_wait(database);
        child.kill().unwrap();
        child.wait().unwrap();
        blocker.run("SELECT pg_advisory_unlock(42)");
        database.execute("DROP FUNCTION hold() CASCADE");
    } else {
        hold_sqlite(database, point);
        let mut child = start_and_wait(database);
        child.kill().unwrap();
        child.wait().unwrap();
        database.execute("DROP TRIGGER hold");
    }
    let resumed = json(&sti_on(database, &CHUNK).output().unwrap(), 1);
    assert_eq!(resumed["resumed"], true);
    assert_eq!(totals(&resumed), totals(&expected), "the run's totals are those of an undisturbed run");
    assert_ne!(
        resumed["this_process"]["locked"], resumed["totals"]["locked"],
        "some chunks were done before"
    );
    check_rows(database, undisturbed);
    check_ledger(database);
    assert_eq!(database.count("sti_backfill_chunk WHERE state <> 'done'"), 0);
    assert_eq!(
        database.count("sti_backfill_chunk"),
        undisturbed.count("sti_backfill_chunk"),
        "no chunk was cut twice"
    );
}

macro_rules! kill_points {
    ($($case:ident: $point:ident;)+) => { $(
        mod $case {
            use super::*;
            #[test]
            fn postgres() {
                kill_at(&TestDatabase::django_postgres(), &TestDatabase::django_postgres(), Point::$point);
            }
            #[test]
            fn sqlite() {
                kill_at(&TestDatabase::django_sqlite(), &TestDatabase::django_sqlite(), Point::$point);
            }
        }
    )+ };
}

kill_points! {
    while_leasing: Lease;
    while_inserting: Insert;
    while_recording: Record;
    while_committing: Commit;
}
