//! Several workers on one run: the totals are those of one, whoever did the work.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use sti_core::backfill::{Ending, Scope, Sizing};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::observe::{Event, Observer as _};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;

use super::rig::{Recorder, Tell, config, id, insert_project, migrate, run, run_observed};

sti_core::both_backends! { django: four_workers_end_with_the_totals_of_one, sizes_are_found_by_themselves }
sti_core::both_backends! {
    an_error_of_one_worker_stops_the_others_after_their_chunk,
    a_sweep_does_not_end_over_a_chunk_that_was_leased_meanwhile,
}

fn four_workers_end_with_the_totals_of_one(database: &TestDatabase) {
    migrate(database);
    let undisturbed = TestDatabase::django_sqlite();
    migrate(&undisturbed);
    let expected = run(&undisturbed, &config(100, Scope::NonDraft)).unwrap();
    let mut config = config(100, Scope::NonDraft);
    config.workers = 4;
    let recorder = Recorder::default();
    let threads = Mutex::new(HashSet::<ThreadId>::new());
    let both = Tell(|event: &Event| {
        recorder.event(event);
        if matches!(event, Event::ChunkDone { .. }) {
            threads.lock().unwrap().insert(std::thread::current().id());
        }
    });
    let done = run_observed(database, &config, &both).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals, expected.totals);
    assert_eq!(done.here, done.totals);
    for (table, columns) in [
        ("projects_schoolproject", &["course_name", "course_code", "teacher_name"][..]),
        ("projects_selfstudyproject", &["goal_description", "study_frequency"]),
    ] {
        let rows = |of: &TestDatabase| of.digest(table, "project_id", columns).to_string();
        assert_eq!(rows(database), rows(&undisturbed), "{table}");
    }
    let events = recorder.0.into_inner().unwrap();
    let ends = events.iter().filter(|event| matches!(event, Event::SweepDone { .. })).count();
    assert_eq!(ends, 1, "one worker ends the sweep");
    let chunks = events.iter().filter(|event| matches!(event, Event::ChunkDone { .. })).count();
    assert_eq!(i64::try_from(chunks).unwrap(), database.count("sti_backfill_chunk"));
    let threads = threads.into_inner().unwrap().len();
    assert_eq!(threads == 1, database.backend_name() == "sqlite", "{threads} threads");
}

fn sizes_are_found_by_themselves(database: &TestDatabase) {
    migrate(database);
    let mut config = config(1, Scope::NonDraft);
    config.sizing = Sizing::default();
    let done = run(database, &config).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals.locked, database.count("projects_project WHERE NOT is_draft"));
    assert!(database.count("sti_backfill_chunk") > 1, "it begins with 1000");
}

/// One worker stands before its commit while the next one fails; it commits all the same, and takes no other chunk.
fn an_error_of_one_worker_stops_the_others_after_their_chunk(database: &TestDatabase) {
    migrate(database);
    for number in 1..=30 {
        insert_project(database, number, "school", false);
    }
    let is_postgres = database.backend_name() == "postgres";
    let failing = if is_postgres { 2 } else { 1 };
    let state = Arc::new((Mutex::new(0_u32), Condvar::new()));
    let told = Arc::clone(&state);
    let mut config = config(5, Scope::NonDraft);
    config.workers = 2;
    config.probe = Probe::new(move |step| {
        let (at_look, changed) = &*state;
        if step == Step::Look {
            *at_look.lock().unwrap() += 1;
            changed.notify_all();
            // Both chunks are under way before either goes on.
            let both = |at: &mut u32| *at < failing;
            drop(changed.wait_timeout_while(at_look.lock().unwrap(), Duration::from_secs(30), both).unwrap());
        }
    });
    let all = database.either(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            IF NEW.number = 1 AND NEW.state = 'done' THEN RAISE EXCEPTION 'no such luck'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER fail BEFORE UPDATE ON sti_backfill_chunk FOR EACH ROW EXECUTE FUNCTION fail()",
        "CREATE TRIGGER fail BEFORE UPDATE ON sti_backfill_chunk WHEN NEW.number = 1 AND NEW.state = 'done' BEGIN \
            SELECT RAISE(ABORT, 'no such luck'); END",
    );
    database.execute(all);
    let error = run(database, &config).unwrap_err();
    assert_eq!(error.to_string(), "recording chunk 1: no such luck");
    assert!(*told.0.lock().unwrap() >= failing);
    let done = database.count("sti_backfill_chunk WHERE state = 'done'");
    let cut = database.count("sti_backfill_chunk");
    assert!(cut < 6, "nobody went on to the end: {cut} chunks");
    assert_eq!(done, cut - 1, "only the chunk that failed is open");
    assert_eq!(database.count("projects_schoolproject"), done * 5);
    assert_eq!(database.count(&format!("projects_schoolproject WHERE project_id <= '{}'", id(5))), 0);
    let trigger = database.either("DROP TRIGGER fail ON sti_backfill_chunk", "DROP TRIGGER fail");
    database.execute(trigger);
    config.probe = Probe::default();
    config.owner = sti_core::backfill::Owner::this_process("test");
    let resumed = run(database, &config).unwrap();
    assert_eq!((resumed.ending, resumed.totals.locked), (Ending::Complete, 30));
}

/// One worker saw the end of the sweep and is about to count what is missing; in this moment a project comes behind the
/// last key and another process takes the lease for it.
fn a_sweep_does_not_end_over_a_chunk_that_was_leased_meanwhile(database: &TestDatabase) {
    migrate(database);
    for number in 1..=10 {
        insert_project(database, number, "school", false);
    }
    let url = database.url().to_owned();
    let expires = database.either("clock_timestamp() + interval '1 hour'", "'2999-01-01 00:00:00'");
    let lease = format!(
        "INSERT INTO sti_backfill_chunk (run_id, sweep, number, after_id, through_id, state, token, owner, \
            lease_expires_at) VALUES (1, 1, 3, '{}', '{}', 'leased', 'other', 'test/999999999/x', {expires}); \
         UPDATE sti_backfill_run SET leased_through = '{}'",
        id(10),
        id(11),
        id(11)
    );
    let project = format!(
        "INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id) \
         VALUES ('{}', 'new', 'school', false, '2026-01-02 03:04:05', '2026-01-02 03:04:05', 1)",
        id(11)
    );
    let once = AtomicBool::new(true);
    let mut config = config(5, Scope::NonDraft);
    config.probe = Probe::new(move |step| {
        if step == Step::EndSweep && once.swap(false, Ordering::SeqCst) {
            let url = DatabaseUrl::parse(&url).unwrap();
            let mut other = connect(&url, Access::Write, "another process").unwrap();
            other.batch_execute(&format!("{project}; {lease}")).unwrap();
        }
    });
    let recorder = Recorder::default();
    let done = run_observed(database, &config, &recorder).unwrap();
    assert_eq!((done.ending, done.totals.created.school), (Ending::Complete, 11));
    assert_eq!(database.count("sti_backfill_chunk WHERE state = 'done' AND sweep = 1"), 3);
    let events = recorder.0.into_inner().unwrap();
    let ends = |event: &&Event| matches!(event, Event::SweepDone { .. });
    let ends: Vec<&Event> = events.iter().filter(ends).collect();
    assert!(matches!(ends[..], [Event::SweepDone { sweep: 1, missing: 0 }]), "{ends:?}");
}
