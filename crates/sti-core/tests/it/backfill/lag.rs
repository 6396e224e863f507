//! The replication lag, read from a primary with a real standby.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use sti_core::backfill::{BackfillConfig, BackfillError, Ending, Owner, Scope, ThrottleReason, control};
use sti_core::observe::Event;
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};

use super::rig::{config, insert_project, migrate, open, run};
use super::throttle::{beside, throttled};

fn config_with(limit: Duration) -> BackfillConfig {
    let mut config = config(5, Scope::NonDraft);
    config.throttle.max_lag = Some(limit);
    config
}

fn some_projects(database: &TestDatabase) {
    migrate(database);
    for number in 1..=10 {
        insert_project(database, number, "school", false);
    }
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < deadline, "after a minute, not yet: {what}");
        std::thread::yield_now();
    }
}

fn wait_for_the_standby(database: &TestDatabase) {
    let follows = "pg_stat_replication WHERE application_name = 'follower' AND state = 'streaming'";
    wait_for("the standby streams", || database.count(follows) == 1);
}

/// The reason in the first event of a wait.
fn reason(event: Event) -> ThrottleReason {
    let Event::Throttled { reason, .. } = event else { panic!("{event:?}") };
    reason
}

fn execute(url: &str, sql: &str) {
    PgConnection::establish(url).unwrap().batch_execute(sql).unwrap();
}

#[test]
fn a_standby_that_follows_is_no_reason_to_wait_and_one_that_stands_still_is() {
    let binaries = Binaries::from_environment().unwrap();
    let server = Server::start(&binaries, &ServerOptions::new()).unwrap();
    let standby = server.standby(&binaries, "follower").unwrap();
    let database = TestDatabase::postgres_on(&server);
    some_projects(&database);
    wait_for_the_standby(&database);

    let done = run(&database, &config_with(Duration::from_secs(60))).unwrap();
    assert_eq!((done.ending, done.totals.created.school), (Ending::Complete, 10));

    // Its log comes in and is not replayed.
    let replay = standby.url("postgres");
    execute(&replay, "SELECT pg_wal_replay_pause()");
    insert_project(&database, 11, "school", false);
    wait_for("the standby reports its lag", || {
        // It reports when something new comes in.
        database.execute("UPDATE projects_project SET name = name");
        database.count("pg_stat_replication WHERE replay_lag > interval '1 s'") == 1
    });
    let (done, reasons) = beside(&database, &config_with(Duration::from_millis(300)), |until| {
        let mut reasons = vec![reason(until(&throttled))];
        while !matches!(reasons.last(), Some(ThrottleReason::ReplicaLag { .. })) {
            reasons.push(reason(until(&throttled)));
        }
        assert_eq!(database.count("sti_backfill_wait WHERE waiting AND reason = 'replica_lag'"), 1);
        execute(&replay, "SELECT pg_wal_replay_resume()");
        until(&|event| matches!(event, Event::ThrottleEnded { .. }));
        reasons
    });
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(database.count("projects_schoolproject"), 11);
    let Some(ThrottleReason::ReplicaLag { standby, lag, limit }) = reasons.last() else {
        panic!("{reasons:?}")
    };
    assert_eq!(standby, "follower");
    assert!(lag > limit, "{lag:?}");
}

#[test]
fn no_standby_is_a_reason_to_wait() {
    let server = Server::start(&Binaries::from_environment().unwrap(), &ServerOptions::new()).unwrap();
    let database = TestDatabase::postgres_on(&server);
    some_projects(&database);
    let config = config_with(Duration::from_secs(60));
    let (stopped, reason) = beside(&database, &config, |until| {
        let reason = reason(until(&throttled));
        config.stop.stop();
        reason
    });
    assert_eq!((stopped.ending, reason), (Ending::Stopped, ThrottleReason::NoStandby));
    assert_eq!(stopped.totals.locked, 0);
}

#[test]
fn a_role_that_may_not_see_the_lag_waits_until_it_may() {
    let binaries = Binaries::from_environment().unwrap();
    let server = Server::start(&binaries, &ServerOptions::new()).unwrap();
    let _standby = server.standby(&binaries, "follower").unwrap();
    let database = TestDatabase::postgres_on(&server);
    some_projects(&database);
    let role = database.application_role();
    let name = database.value("SELECT rolname FROM pg_roles WHERE rolname LIKE '%_app'");
    database.grant_application(&["projects_project", "projects_schoolproject", "projects_selfstudyproject"]);
    database.grant_application(&[
        "sti_backfill_run",
        "sti_backfill_chunk",
        "sti_backfill_quarantine",
        "sti_backfill_control",
        "sti_backfill_wait",
        "__diesel_schema_migrations",
    ]);
    wait_for_the_standby(&database);
    let mut config = BackfillConfig::new(Owner::this_process("test"));
    config.throttle.max_lag = Some(Duration::from_secs(60));
    let (done, what) = super::throttle::beside_as(&role, &config, |until| {
        let what = reason(until(&throttled)).to_string();
        database.execute(&format!("GRANT pg_read_all_stats TO {name}"));
        what
    });
    assert!(what.contains(&format!("GRANT pg_read_all_stats TO {name}")), "{what}");
    assert_eq!((done.ending, done.totals.created.school), (Ending::Complete, 10));
    database.execute(&format!("REVOKE pg_read_all_stats FROM {name}; DROP OWNED BY {name}"));
}

#[test]
fn sqlite_has_no_lag() {
    let database = TestDatabase::sqlite();
    some_projects(&database);
    let refused = run(&database, &config_with(Duration::from_secs(1))).unwrap_err();
    assert!(matches!(refused, BackfillError::NoReplication), "{refused}");
    assert_eq!(database.count("sti_backfill_run"), 0);
    assert_eq!(control::paused(&mut open(&database)).unwrap(), None);
}
