//! What the engine does about each class of error, provoked on a real database in the middle of a run.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use sti_core::backfill::{Backfill, BackfillConfig, BackfillError, Ending, Scope, Sizing};
use sti_core::db::{Access, AnyConnection, ConnectError, DatabaseUrl, Fault, connect};
use sti_core::observe::{Event, Observer};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::{Session, TestDatabase, check_ledger, wait_until_it_waits};

use super::rig::{Recorder, Tell, config, id, insert_project, migrate, run, run_observed};

sti_core::both_backends! { a_column_that_vanishes_stops_the_run_at_once, what_passes_is_tried_five_times }

const PROJECTS: i64 = 40;

pub(super) fn set_up(database: &TestDatabase) {
    migrate(database);
    for number in 1..=40 {
        insert_project(database, number, if number % 2 == 0 { "school" } else { "self_study" }, false);
    }
}

/// Every project has its row, each was counted once, and the ledger is sound.
#[track_caller]
pub(super) fn check_complete(database: &TestDatabase, done: &Backfill) {
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals.locked, PROJECTS);
    assert_eq!((done.totals.created.school, done.totals.created.self_study), (20, 20));
    assert_eq!(database.count("projects_schoolproject"), 20);
    assert_eq!(database.count("projects_selfstudyproject"), 20);
    check_ledger(database);
}

fn ten_in_a_chunk() -> BackfillConfig {
    config(10, Scope::NonDraft)
}

/// Calls `act` once, when some chunk comes to `step` for the `nth` time.
pub(super) fn at_step(step: Step, nth: u32, act: impl Fn() + Send + Sync + 'static) -> Probe {
    let seen = AtomicU32::new(0);
    Probe::new(move |at| {
        if at == step && seen.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            act();
        }
    })
}

fn through(
    open: &(dyn Fn() -> Result<AnyConnection, ConnectError> + Sync),
    config: &BackfillConfig,
) -> (Result<Backfill, BackfillError>, Vec<Event>) {
    let recorder = Recorder::default();
    let ended = Backfill::run(open, config, &recorder);
    (ended, recorder.0.into_inner().unwrap())
}

fn a_column_that_vanishes_stops_the_run_at_once(database: &TestDatabase) {
    set_up(database);
    let once = AtomicBool::new(true);
    let observer = Tell(|event: &Event| {
        if matches!(event, Event::ChunkDone { .. }) && once.swap(false, Ordering::SeqCst) {
            database.execute("ALTER TABLE projects_project DROP COLUMN teacher_name");
        }
    });
    let error = run_observed(database, &ten_in_a_chunk(), &observer).unwrap_err();
    assert!(!error.is_resumable(), "{error}");
    assert!(error.to_string().contains("teacher_name"), "{error}");
    assert_eq!(database.count("sti_backfill_chunk WHERE state = 'done'"), 1);
    assert_eq!(database.value("SELECT max(attempts) FROM sti_backfill_chunk"), "1");
}

/// Something says `deadlock detected` (on SQLite: `database is locked`) so often, whatever the transaction does.
fn fail_so_often(database: &TestDatabase, times: u32) {
    database.execute(&format!(
        "{}; CREATE TABLE left_to_fail (n integer); INSERT INTO left_to_fail VALUES ({times})",
        database.either(
            "CREATE SEQUENCE failed; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                IF nextval('failed') <= (SELECT n FROM left_to_fail) THEN \
                    RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF; RETURN NULL; END $$; \
             CREATE TRIGGER fail AFTER INSERT ON projects_schoolproject EXECUTE FUNCTION fail()",
            "SELECT 1",
        )
    ));
}

fn what_passes_is_tried_five_times(database: &TestDatabase) {
    if database.backend_name() == "sqlite" {
        return a_locked_file_is_waited_for(database);
    }
    set_up(database);
    fail_so_often(database, 5);
    let recorder = Recorder::default();
    check_complete(database, &run_observed(database, &ten_in_a_chunk(), &recorder).unwrap());
    let retries: Vec<u32> = retries(&recorder);
    assert_eq!(retries, [1, 2, 3, 4, 5]);

    database.execute(
        "DELETE FROM projects_schoolproject; ALTER SEQUENCE failed RESTART; UPDATE left_to_fail SET n = 6",
    );
    let error = run(database, &ten_in_a_chunk()).unwrap_err();
    assert!(error.to_string().contains("deadlock detected") && error.is_resumable(), "{error}");
    assert_eq!(run(database, &ten_in_a_chunk()).unwrap().ending, Ending::Complete);
}

fn retries(recorder: &Recorder) -> Vec<u32> {
    let events = recorder.0.lock().unwrap();
    let retry = |event: &Event| match event {
        Event::ChunkRetried { retry, .. } | Event::LedgerRetried { retry, .. } => Some(*retry),
        _ => None,
    };
    events.iter().filter_map(retry).collect()
}

/// Another process has the SQLite file; it lets go when it is seen that somebody waits.
fn a_locked_file_is_waited_for(database: &TestDatabase) {
    set_up(database);
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let holder = Arc::new(Mutex::new(connect(&url, Access::Write, "holder").unwrap()));
    let held = Arc::clone(&holder);
    let mut config = ten_in_a_chunk();
    let begin = AtomicBool::new(true);
    let recorder = Recorder::default();
    let observer = Tell(|event: &Event| {
        recorder.event(event);
        match event {
            Event::ChunkDone { .. } if begin.swap(false, Ordering::SeqCst) => {
                held.lock().unwrap().batch_execute("BEGIN IMMEDIATE").unwrap();
            }
            Event::LedgerRetried { retry: 2, .. } => held.lock().unwrap().batch_execute("ROLLBACK").unwrap(),
            _ => {}
        }
    });
    config.max_wait = Duration::from_secs(60);
    let impatient = || {
        let mut connection = connect(&url, Access::Write, "test backfill")?;
        connection.batch_execute("PRAGMA busy_timeout = 20").unwrap();
        Ok(connection)
    };
    check_complete(database, &Backfill::run(&impatient, &config, &observer).unwrap());
    assert_eq!(retries(&recorder), [1, 2]);
}

#[test]
fn a_statement_that_takes_too_long_halves_its_chunk() {
    let database = TestDatabase::postgres();
    set_up(&database);
    database.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            IF (SELECT count(*) FROM made) > 5 THEN PERFORM pg_sleep(3600); END IF; RETURN NULL; END $$; \
         CREATE TRIGGER dawdle AFTER INSERT ON projects_schoolproject REFERENCING NEW TABLE AS made \
            EXECUTE FUNCTION dawdle()",
    );
    let mut config = config(1, Scope::NonDraft);
    config.sizing = Sizing::default();
    let recorder = Recorder::default();
    check_complete(&database, &run_observed(&database, &config, &recorder).unwrap());
    assert!(database.count("sti_backfill_chunk") >= 4, "40 projects, at most 10 of them at a time");
    let events = recorder.0.into_inner().unwrap();
    let halved =
        |event: &&Event| matches!(event, Event::ChunkHalved { reason, .. } if reason.contains("timeout"));
    assert_eq!(events.iter().filter(halved).count(), 3, "{events:#?}");
}

#[test]
fn a_chunk_behind_a_long_lock_comes_last() {
    let database = TestDatabase::postgres();
    set_up(&database);
    let writer = Session::open(&database, "writer");
    writer.run(&format!("BEGIN; SELECT 1 FROM projects_project WHERE id = '{}' FOR UPDATE", id(5)));
    let (recorder, writer) = (Recorder::default(), Mutex::new(writer));
    let observer = Tell(|event: &Event| {
        recorder.event(event);
        if matches!(event, Event::ChunkPostponed { .. }) {
            writer.lock().unwrap().run("COMMIT");
        }
    });
    check_complete(&database, &run_observed(&database, &ten_in_a_chunk(), &observer).unwrap());
    let events = recorder.0.into_inner().unwrap();
    let order = events.iter().filter_map(|event| match event {
        Event::ChunkPostponed { number, .. } => Some(-number),
        Event::ChunkDone { number, .. } => Some(*number),
        _ => None,
    });
    assert_eq!(order.collect::<Vec<_>>(), [-1, 2, 3, 4, 1]);
    assert_eq!(database.value("SELECT max(postponed) FROM sti_backfill_chunk"), "1");
}

/// A real deadlock: the chunk holds the projects before one that the writer has, and the writer comes for one of those.
/// The backfill gives way before the server looks for a victim.
#[test]
fn a_writer_is_never_the_victim_of_a_deadlock() {
    let database = TestDatabase::postgres();
    set_up(&database);
    let writer = Session::open(&database, "writer");
    writer.run(&format!("BEGIN; UPDATE projects_project SET name = 'one' WHERE id = '{}'", id(8)));
    let recorder = Recorder::default();
    let done = std::thread::scope(|scope| {
        let running = scope.spawn(|| run_observed(&database, &ten_in_a_chunk(), &recorder));
        wait_until_it_waits(&database, "test backfill");
        writer.run(&format!("UPDATE projects_project SET name = 'two' WHERE id = '{}'; COMMIT", id(3)));
        running.join().unwrap()
    });
    check_complete(&database, &done.unwrap());
    let events = recorder.0.into_inner().unwrap();
    let faults: Vec<Fault> = events
        .iter()
        .filter_map(|event| match event {
            Event::ChunkRetried { fault, .. } => Some(*fault),
            _ => None,
        })
        .collect();
    assert!(faults.iter().all(|fault| *fault == Fault::LockTimeout) && !faults.is_empty(), "{faults:?}");
}

#[test]
fn patience_ends() {
    let database = TestDatabase::postgres();
    set_up(&database);
    let writer = Session::open(&database, "writer");
    writer.run(&format!("BEGIN; SELECT 1 FROM projects_project WHERE id = '{}' FOR UPDATE", id(5)));
    let mut config = ten_in_a_chunk();
    config.max_wait = Duration::ZERO;
    let error = run(&database, &config).unwrap_err();
    assert!(error.is_resumable() && error.to_string().contains("lock timeout"), "{error}");
    let free =
        "sti_backfill_chunk WHERE state = 'leased' AND owner = '' AND lease_expires_at <= clock_timestamp()";
    assert_eq!(database.count(free), 1, "its lease was given back");
    writer.run("COMMIT");
    check_complete(&database, &run(&database, &config).unwrap());
}

#[test]
fn somebody_who_cancels_the_statement_wants_it_to_stop() {
    let database = Arc::new(TestDatabase::postgres());
    set_up(&database);
    database.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            PERFORM pg_sleep(20); RETURN NULL; END $$; \
         CREATE TRIGGER dawdle AFTER INSERT ON projects_schoolproject EXECUTE FUNCTION dawdle()",
    );
    let (over, other) = (Arc::new(AtomicBool::new(false)), Arc::clone(&database));
    let is_over = Arc::clone(&over);
    let canceller = std::thread::spawn(move || {
        let asleep = "FROM pg_stat_activity WHERE application_name = 'test backfill' \
                      AND datname = current_database() AND wait_event = 'PgSleep'";
        while other.column("pg_cancel_backend(pid)", asleep).is_empty() && !is_over.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    let ended = run(&database, &ten_in_a_chunk());
    over.store(true, Ordering::SeqCst);
    canceller.join().unwrap();
    let error = ended.unwrap_err();
    assert!(error.is_resumable() && error.to_string().contains("user request"), "{error}");
    database.execute("DROP TRIGGER dawdle ON projects_schoolproject");
    check_complete(&database, &run(&database, &ten_in_a_chunk()).unwrap());
}

#[test]
fn a_right_that_is_taken_away_stops_the_run_at_once() {
    let database = TestDatabase::postgres();
    set_up(&database);
    let tables = database.column("tablename", "FROM pg_tables WHERE schemaname = 'public'");
    let tables: Vec<&str> = tables.iter().flatten().map(String::as_str).collect();
    let url = database.application_role();
    database.grant_application(&tables);
    let role = DatabaseUrl::parse(&url).unwrap();
    let once = AtomicBool::new(true);
    let observer = Tell(|event: &Event| {
        if matches!(event, Event::ChunkDone { .. }) && once.swap(false, Ordering::SeqCst) {
            let name = database.value("SELECT current_database()");
            database.execute(&format!("REVOKE INSERT ON projects_selfstudyproject FROM {name}_app"));
        }
    });
    let open = || connect(&role, Access::Write, "test backfill");
    let error = Backfill::run(&open, &ten_in_a_chunk(), &observer).unwrap_err();
    assert!(!error.is_resumable(), "{error}");
    assert!(error.to_string().contains("permission denied for table projects_selfstudyproject"), "{error}");
    assert_eq!(database.count("sti_backfill_chunk WHERE state = 'done'"), 1);
    database.grant_application(&["projects_selfstudyproject"]);
    check_complete(&database, &Backfill::run(&open, &ten_in_a_chunk(), &()).unwrap());
}

#[test]
fn a_full_disk_stops_the_run_at_once() {
    let database = TestDatabase::sqlite();
    set_up(&database);
    let long = "x".repeat(200);
    database.execute(&format!(
        "UPDATE projects_project SET course_name = '{long}' WHERE course_name IS NOT NULL"
    ));
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let pages = database.value("SELECT page_count FROM pragma_page_count()");
    let full = || {
        let mut connection = connect(&url, Access::Write, "test backfill")?;
        connection.batch_execute(&format!("PRAGMA max_page_count = {pages}")).unwrap();
        Ok(connection)
    };
    let (ended, events) = through(&full, &ten_in_a_chunk());
    let error = ended.unwrap_err();
    assert!(!error.is_resumable() && error.to_string().contains("disk is full"), "{error}");
    assert!(!events.iter().any(|event| matches!(event, Event::ChunkRetried { .. })), "{events:?}");
    check_ledger(&database);
    check_complete(&database, &run(&database, &ten_in_a_chunk()).unwrap());
}
