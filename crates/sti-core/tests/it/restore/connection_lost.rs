//! The connection is lost: what became of a step is what the catalogue says, and what passes is no failure.

use diesel::connection::SimpleConnection as _;
use sti_core::contract::restore::{
    Finish, FinishOptions, Restoration, RestoreError, RestoreEvent, RestoreOptions, Restored, finish, restore,
};
use sti_core::db::{Access, AnyConnection, ConnectError, DatabaseUrl, Fault, connect};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Cut, CuttingProxy};

use super::rig::{chunks_of, drop_by_hand, finished, leftovers, legacy_digest, restored, try_restore};
use crate::repository::rig::{id, insert, migrate, owner};

const PROJECTS: u32 = 5;

/// What the transaction of each step says, and nobody else.
const STEPS: [&str; 3] = ["ADD COLUMN", "SET refilled_through = $1", "SET restored_at"];

fn plant() -> TestDatabase {
    let database = TestDatabase::postgres();
    migrate(&database);
    for number in 1..=PROJECTS {
        insert(&database, number, "other", [Some("a"), None, Some(""), Some("goal"), None]);
    }
    database
}

fn through(proxy: &CuttingProxy) -> Result<AnyConnection, ConnectError> {
    connect(&DatabaseUrl::parse(proxy.url()).unwrap(), Access::Write, "restore")
}

fn end_the_others(database: &TestDatabase) {
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    owner(database).batch_execute(others).unwrap();
}

#[track_caller]
fn all_refilled(restored: &Restored) {
    let refilled = restored.refilled;
    assert_eq!((refilled.chunks, refilled.projects, refilled.changed), (3, 5, 5), "each chunk counts once");
    assert_eq!(restored.verified, i64::from(PROJECTS));
    assert_eq!(restored.began.as_ref().map(|began| began.added.len()), Some(5));
}

#[test]
fn a_lost_commit_is_looked_up_and_the_restore_goes_on() {
    for marker in STEPS {
        for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
            let database = plant();
            let before = legacy_digest(&database);
            drop_by_hand(&database);
            let proxy = CuttingProxy::before(&database, marker, cut);
            let restoration = restore(&mut || through(&proxy), &chunks_of(2), &mut |_| ()).unwrap();
            assert!(proxy.has_cut(), "{marker} {cut:?}");
            let Restoration::Done(restored) = restoration else {
                panic!("{marker} {cut:?}: {restoration:?}")
            };
            all_refilled(&restored);
            assert_eq!(legacy_digest(&database), before, "{marker} {cut:?}");
        }
    }
}

#[test]
fn a_database_that_cannot_be_asked_leaves_it_unknown() {
    for marker in STEPS {
        for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
            let database = plant();
            let before = legacy_digest(&database);
            drop_by_hand(&database);
            let proxy = CuttingProxy::before_and_unreachable_afterwards(&database, marker, cut);
            let error = restore(&mut || through(&proxy), &chunks_of(2), &mut |_| ()).unwrap_err();
            let RestoreError::Unknown(unknown) = &error else { panic!("{marker} {cut:?}: {error:?}") };
            assert_eq!(unknown.source.fault(), Fault::ConnectionLost);
            assert!(
                unknown.seen.starts_with("the database could not be asked: cannot connect"),
                "{}",
                unknown.seen
            );
            let rest = try_restore(&database, &chunks_of(2)).unwrap();
            assert!(matches!(rest, Restoration::Done(_) | Restoration::Already { .. }), "{rest:?}");
            assert_eq!(legacy_digest(&database), before, "{marker} {cut:?}");
        }
    }
}

#[test]
fn the_end_of_a_restore_is_looked_up_too() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let database = plant();
        drop_by_hand(&database);
        restored(&database);
        let options = FinishOptions {
            noticed_after: std::time::Duration::ZERO,
            watched_for: std::time::Duration::ZERO,
            ..FinishOptions::default()
        };
        let proxy = CuttingProxy::before(&database, "SET finished_at", cut);
        let answer = finish(&mut || through(&proxy), &options, &mut |_| ()).unwrap();
        assert!(proxy.has_cut());
        let attempts = if cut == Cut::BeforeCommit { 2 } else { 1 };
        assert_eq!(answer, Finish::Done { event: 1, attempts }, "{cut:?}");
        assert_eq!(leftovers(&database), 0);
        assert_eq!(finished(&database), Finish::Already { event: 1 });
    }
}

/// Before the first chunk, and between the last one and the end: nothing was at work that had to be rolled back.
#[test]
fn a_session_that_is_ended_outside_of_a_chunk_can_be_gone_on_with() {
    let verifying = |event: &RestoreEvent| matches!(event, RestoreEvent::Verifying);
    let refilling = |event: &RestoreEvent| matches!(event, RestoreEvent::Refilling { .. });
    let began = |event: &RestoreEvent| matches!(event, RestoreEvent::Began(_));
    for at in [began, refilling, verifying] as [fn(&RestoreEvent) -> bool; 3] {
        let database = plant();
        let before = legacy_digest(&database);
        drop_by_hand(&database);
        let mut tell = |event: &RestoreEvent| {
            if at(event) {
                end_the_others(&database);
            }
        };
        let error = restore(&mut || Ok(owner(&database)), &chunks_of(2), &mut tell).unwrap_err();
        let fault = match &error {
            RestoreError::Interrupted { source } | RestoreError::Stopped { source, .. } => source.fault(),
            other => panic!("{other:?}"),
        };
        assert_eq!(fault, Fault::ConnectionLost);
        assert!(error.to_string().contains("the same command goes on"), "{error}");
        restored(&database);
        assert_eq!(legacy_digest(&database), before);
    }
}

#[test]
fn a_session_that_is_ended_in_a_chunk_has_rolled_that_chunk_back() {
    let database = std::sync::Arc::new(plant());
    drop_by_hand(&database);
    for step in [Step::Look, Step::Write, Step::Record] {
        let of_probe = std::sync::Arc::clone(&database);
        let probe = Probe::new(move |at| {
            if at == step {
                end_the_others(&of_probe);
            }
        });
        let error = try_restore(&database, &RestoreOptions { probe, ..chunks_of(2) }).unwrap_err();
        let RestoreError::Stopped { done, source } = &error else { panic!("{error:?}") };
        assert_eq!((done.chunks, source.fault()), (0, Fault::ConnectionLost), "{step:?}");
    }
    restored(&database);
}

/// COMMIT fails for a reason that nobody has foreseen: that is no answer that says no.
#[test]
fn an_error_at_commit_that_nobody_knows_is_looked_up() {
    let database = plant();
    let before = legacy_digest(&database);
    drop_by_hand(&database);
    database.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'nobody has foreseen this'; END $$; \
         CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON sti_drop_event DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW WHEN (NEW.refilled_through IS NOT NULL) EXECUTE FUNCTION fail()",
    );
    let mut asked = 0;
    let mut connector = || {
        asked += 1;
        Ok(owner(&database))
    };
    let error = restore(&mut connector, &chunks_of(2), &mut |_| ()).unwrap_err();
    let RestoreError::Stopped { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.fault(), Fault::Other);
    assert_eq!(asked, 2, "a fresh connection was asked, and the chunk was not there");
    assert_eq!(database.count("sti_drop_event WHERE refilled_through IS NULL"), 1);

    let mut asked = 0;
    let mut connector = || {
        asked += 1;
        let down = || ConnectError::Unreachable { target: "it".to_owned(), reason: "down".to_owned() };
        if asked == 1 { Ok(owner(&database)) } else { Err(down()) }
    };
    let error = restore(&mut connector, &chunks_of(2), &mut |_| ()).unwrap_err();
    assert!(matches!(error, RestoreError::Unknown(_)), "{error:?}");

    database.execute("DROP FUNCTION fail() CASCADE");
    let rest = restored(&database);
    assert_eq!((rest.resumed_after, rest.refilled.projects), (None, 5));
    assert_eq!(legacy_digest(&database), before);
    assert_eq!(database.count(&format!("projects_project WHERE id = '{}'", id(1).hex())), 1);
}
