//! Servers that go away, come back, and take no writes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sti_core::backfill::{Backfill, BackfillError, Ending, Scope};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::observe::{Event, Observer as _};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Binaries, Cut, CuttingProxy, PgBouncer, Server, ServerOptions};

use super::faults::{at_step, check_complete, set_up};
use super::rig::{Recorder, Tell, config, run, run_observed};

/// A server of its own that loses nothing when it is stopped.
fn server() -> Arc<Server> {
    let durable = ServerOptions::new().setting("synchronous_commit", "on");
    Arc::new(Server::start(&Binaries::from_environment().unwrap(), &durable).unwrap())
}

#[test]
fn every_session_of_the_tool_is_ended_at_every_step() {
    for step in [Step::Lock, Step::Look, Step::Record, Step::Commit] {
        let database = Arc::new(TestDatabase::postgres());
        set_up(&database);
        let other = Arc::clone(&database);
        let mut config = config(5, Scope::NonDraft);
        config.workers = 3;
        config.probe = at_step(step, 4, move || {
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test backfill' \
                 AND datname = current_database()",
            );
        });
        let recorder = Recorder::default();
        check_complete(&database, &run_observed(&database, &config, &recorder).unwrap());
        let events = recorder.0.into_inner().unwrap();
        assert!(events.iter().any(|event| matches!(event, Event::WaitingForServer { .. })), "{step:?}");
    }
}

/// The same behind a proxy that gives each transaction another session, and whose words for it are its own.
#[test]
fn every_session_of_a_proxy_is_ended_at_every_step() {
    for step in [Step::Lock, Step::Look, Step::Record, Step::Commit] {
        let database = Arc::new(TestDatabase::postgres());
        set_up(&database);
        let bouncer = PgBouncer::before(&database, 2).unwrap();
        let url = DatabaseUrl::parse(bouncer.url()).unwrap();
        let other = Arc::clone(&database);
        let mut config = config(5, Scope::NonDraft);
        config.workers = 3;
        config.probe = at_step(step, 4, move || {
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        });
        let recorder = Recorder::default();
        let done = Backfill::run(&|| connect(&url, Access::Write, "test backfill"), &config, &recorder);
        check_complete(&database, &done.unwrap());
        let events = recorder.0.into_inner().unwrap();
        assert!(events.iter().any(|event| matches!(event, Event::WaitingForServer { .. })), "{step:?}");
    }
}

#[test]
fn a_server_that_crashes_is_waited_for() {
    for (step, proxy) in
        [(Step::Look, false), (Step::Commit, false), (Step::Look, true), (Step::Commit, true)]
    {
        let server = server();
        let database = TestDatabase::postgres_on(&server);
        set_up(&database);
        let bouncer = proxy.then(|| PgBouncer::before(&database, 3).unwrap());
        let url = bouncer.as_ref().map_or(database.url(), PgBouncer::url);
        let url = DatabaseUrl::parse(url).unwrap();
        let mut config = config(5, Scope::NonDraft);
        config.workers = 2;
        let crashing = Arc::clone(&server);
        config.probe = at_step(step, 3, move || crashing.stop_immediate().unwrap());
        let down = AtomicBool::new(true);
        let observer = Tell(|event: &Event| {
            if matches!(event, Event::WaitingForServer { .. }) && down.swap(false, Ordering::SeqCst) {
                server.start_again().unwrap();
            }
        });
        let done = Backfill::run(&|| connect(&url, Access::Write, "test backfill"), &config, &observer);
        check_complete(&database, &done.unwrap());
        assert!(!down.load(Ordering::SeqCst), "it noticed");
    }
}

#[test]
fn a_server_that_stays_away_ends_the_run_for_now() {
    let server = server();
    let database = TestDatabase::postgres_on(&server);
    set_up(&database);
    let mut stopped = config(5, Scope::NonDraft);
    stopped.max_wait = Duration::from_millis(700);
    let crashing = Arc::clone(&server);
    stopped.probe = at_step(Step::Look, 3, move || crashing.stop_immediate().unwrap());
    let error = run(&database, &stopped).unwrap_err();
    assert!(error.is_resumable(), "{error}");
    assert!(error.to_string().contains("cannot connect"), "{error}");
    server.start_again().unwrap();
    // Its lease was not given back; its owner is another one than that of the next process.
    let mut resumed = config(5, Scope::NonDraft);
    resumed.workers = 2;
    check_complete(&database, &run(&database, &resumed).unwrap());
}

/// A primary that becomes a standby in the middle of a run, as in a failover that is gone back on.
#[test]
fn a_server_that_takes_no_writes_is_waited_for() {
    let server = server();
    let database = TestDatabase::postgres_on(&server);
    set_up(&database);
    let demoted = Arc::clone(&server);
    let mut config = config(5, Scope::NonDraft);
    config.probe = at_step(Step::Look, 3, move || {
        fs::write(demoted.folder().join("data/standby.signal"), "").unwrap();
        demoted.stop_immediate().unwrap();
        demoted.start_again().unwrap();
    });
    let recorder = Recorder::default();
    let promoted = AtomicBool::new(false);
    let observer = Tell(|event: &Event| {
        recorder.event(event);
        let Event::WaitingForServer { reason, .. } = event else { return };
        if reason.contains("read-write mode") && !promoted.swap(true, Ordering::SeqCst) {
            assert_eq!(database.value("SELECT pg_promote()"), "true");
        }
    });
    check_complete(&database, &run_observed(&database, &config, &observer).unwrap());
    assert!(promoted.load(Ordering::SeqCst));
}

/// What a database says of itself is not the last word: the transactions say what they are.
#[test]
fn a_session_default_of_read_only_is_overridden() {
    let database = TestDatabase::postgres();
    set_up(&database);
    let name = database.value("SELECT current_database()");
    // One that was stopped leaves word, which whoever takes it up takes away.
    let mut stopped = config(5, Scope::NonDraft);
    let stop = stopped.stop.clone();
    stopped.probe = Probe::new(move |_| stop.stop());
    assert_eq!(run(&database, &stopped).unwrap().ending, Ending::Stopped);
    database.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let done = run(&database, &config(5, Scope::NonDraft));
    database.execute(&format!(
        "BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT"
    ));
    check_complete(&database, &done.unwrap());
}

/// Runs a backfill over a wire that breaks at the COMMIT of its first chunk.
fn over_a_breaking_wire(proxy: &CuttingProxy) -> (Result<Backfill, BackfillError>, Vec<Event>) {
    let url = DatabaseUrl::parse(proxy.url()).unwrap();
    let mut config = config(10, Scope::NonDraft);
    config.max_wait = Duration::from_secs(2);
    let recorder = Recorder::default();
    let ended = Backfill::run(&|| connect(&url, Access::Write, "test backfill"), &config, &recorder);
    assert!(proxy.has_cut());
    (ended, recorder.0.into_inner().unwrap())
}

const MARKER: &str = "UPDATE sti_backfill_chunk SET state = 'done'";

#[test]
fn a_commit_whose_answer_is_lost_is_asked_about_and_counted_once() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let database = TestDatabase::postgres();
        set_up(&database);
        let (ended, events) = over_a_breaking_wire(&CuttingProxy::before(&database, MARKER, cut));
        check_complete(&database, &ended.unwrap());
        let done = events.iter().filter(|event| matches!(event, Event::ChunkDone { .. })).count();
        assert_eq!(done, 4, "{cut:?}");
        let waits = events.iter().filter(|event| matches!(event, Event::WaitingForServer { .. })).count();
        assert_eq!(waits, 1, "{cut:?}");
    }
}

/// Whom the chunk put into quarantine is told and counted like its totals.
#[test]
fn a_commit_whose_answer_is_lost_still_tells_whom_it_put_into_quarantine() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let database = TestDatabase::postgres();
        set_up(&database);
        database.execute(
            "ALTER TABLE projects_schoolproject ADD CONSTRAINT no_poison CHECK (course_name <> 'course 4')",
        );
        let (ended, events) = over_a_breaking_wire(&CuttingProxy::before(&database, MARKER, cut));
        assert_eq!(ended.unwrap().totals.error.school, 1, "{cut:?}");
        let told = events.iter().filter(|event| matches!(event, Event::ProjectQuarantined { .. })).count();
        assert_eq!(told, 1, "{cut:?}");
    }
}

#[test]
fn a_commit_that_cannot_be_asked_about_is_unknown_and_the_ledger_knows() {
    for (cut, before) in [(Cut::BeforeCommit, 0), (Cut::AfterCommit, 10)] {
        let database = TestDatabase::postgres();
        set_up(&database);
        let proxy = CuttingProxy::before_and_unreachable_afterwards(&database, MARKER, cut);
        let error = over_a_breaking_wire(&proxy).0.unwrap_err();
        assert!(matches!(error, BackfillError::Unknown { number: 1, .. }), "{cut:?}: {error}");
        assert_eq!(database.value("SELECT sum(locked) FROM sti_backfill_chunk"), before.to_string());
        check_complete(&database, &run(&database, &config(10, Scope::NonDraft)).unwrap());
    }
}
