//! The ledger: resume, restart, leases, sweeps, and what binds a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sti_core::backfill::{BackfillError, Ending, Scope, StopSignal, Totals};
use sti_core::observe::{Event, Observer};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{Recorder, Tell, config, id, insert_project, migrate, run, run_observed};
use crate::repository::rig::LEGACY;

sti_core::both_backends! {
    a_stopped_run_is_resumed_and_counts_nothing_twice,
    a_resume_is_bound_to_its_scope,
    restart_gives_up_the_run_and_begins_anew,
    chunks_have_no_gap_and_no_overlap,
    a_dead_owners_chunk_is_taken_over_at_once,
    an_old_token_commits_nothing,
    a_project_behind_the_cursor_is_caught_up_with,
    a_writer_that_never_ends_is_not_called_complete,
    a_missing_table_is_named,
    nothing_to_do_is_done,
    rows_that_a_trigger_changes_as_they_are_made_are_no_conflicts,
}

/// The first look at the schema comes before the run is begun; a drop in between is seen all the same.
#[test]
fn no_run_is_begun_behind_a_drop() {
    let database = TestDatabase::postgres();
    some_projects(&database);
    let other = Session::open(&database, "other");
    other.run("BEGIN; LOCK TABLE sti_backfill_run IN ACCESS EXCLUSIVE MODE");
    let ended = std::thread::scope(|scope| {
        let late = scope.spawn(|| run(&database, &config(10, Scope::All)));
        wait_until_it_waits(&database, "test backfill");
        let columns = LEGACY.map(|column| format!("ALTER TABLE projects_project DROP COLUMN {column}; "));
        other.run(&format!("{} COMMIT", columns.concat()));
        late.join().unwrap()
    });
    assert!(matches!(ended, Err(BackfillError::LegacyColumnsGone)), "{ended:?}");
    assert_eq!(database.count("sti_backfill_run"), 0);
}

fn some_projects(database: &TestDatabase) {
    migrate(database);
    for number in 1..=40 {
        let project_type = match number % 5 {
            0 => "legacy_other",
            1 | 2 => "school",
            _ => "self_study",
        };
        insert_project(database, number * 10, project_type, number % 8 == 0);
    }
}

/// Stops after so many chunks.
struct StopAfter(StopSignal, AtomicU32);

impl Observer for StopAfter {
    fn event(&self, event: &Event) {
        if matches!(event, Event::ChunkDone { .. }) && self.1.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.stop();
        }
    }
}

fn run_some_chunks(database: &TestDatabase, chunks: u32) -> Totals {
    let config = config(5, Scope::NonDraft);
    let stopper = StopAfter(config.stop.clone(), AtomicU32::new(chunks));
    let stopped = run_observed(database, &config, &stopper).unwrap();
    assert_eq!(stopped.ending, Ending::Stopped);
    stopped.totals
}

fn a_stopped_run_is_resumed_and_counts_nothing_twice(database: &TestDatabase) {
    some_projects(database);
    let before = run_some_chunks(database, 3);
    assert_eq!(database.count("projects_schoolproject"), before.created.school);
    let recorder = Recorder::default();
    let resumed = run_observed(database, &config(7, Scope::NonDraft), &recorder).unwrap();
    assert!(resumed.resumed);
    assert_eq!(resumed.ending, Ending::Complete);
    assert_eq!(resumed.totals.locked, before.locked + resumed.here.locked);
    assert_eq!(resumed.totals.locked, database.count("projects_project WHERE NOT is_draft"));
    assert_eq!(resumed.totals.created.school, database.count("projects_schoolproject"));
    assert_eq!(resumed.totals.created.self_study, database.count("projects_selfstudyproject"));
    let events = recorder.0.into_inner().unwrap();
    assert!(matches!(events[0], Event::RunStarted { resumed: true, totals, .. } if totals == before));
}

fn a_resume_is_bound_to_its_scope(database: &TestDatabase) {
    some_projects(database);
    run_some_chunks(database, 1);
    let refused = run(database, &config(5, Scope::All)).unwrap_err();
    let message = refused.to_string();
    assert!(matches!(refused, BackfillError::CannotResume { .. }), "{message}");
    assert!(message.contains("run 1 is under way with non-draft projects"), "{message}");
    assert!(message.contains("--restart"), "{message}");
    assert_eq!(database.count("sti_backfill_run"), 1);
}

fn restart_gives_up_the_run_and_begins_anew(database: &TestDatabase) {
    some_projects(database);
    let before = run_some_chunks(database, 2);
    let mut anew = config(5, Scope::All);
    anew.restart = true;
    let done = run(database, &anew).unwrap();
    assert!(!done.resumed);
    assert_eq!(done.totals.equal.total(), before.created.total());
    assert_eq!(done.totals.locked, database.count("projects_project"));
    let states = database.column("state", "FROM sti_backfill_run ORDER BY id");
    assert_eq!(states, [Some("abandoned".to_owned()), Some("done".to_owned())]);
}

fn chunks_have_no_gap_and_no_overlap(database: &TestDatabase) {
    some_projects(database);
    run_some_chunks(database, 2);
    run(database, &config(9, Scope::NonDraft)).unwrap();
    let chunks = database.select(&["after_id", "through_id"], "FROM sti_backfill_chunk ORDER BY number");
    assert_eq!(chunks.len(), 2 + 4, "two of 5, then 30 more in chunks of 9: {chunks:?}");
    assert_eq!(chunks[0][0], None);
    for pair in chunks.windows(2) {
        assert_eq!(pair[0][1], pair[1][0], "a chunk begins where the one before it ended");
    }
    let last = chunks.last().unwrap()[1].as_deref().unwrap().replace('-', "");
    assert_eq!(last, id(400));
}

/// A chunk as a process leaves it that is killed between its lease and its commit.
fn leave_a_lease(database: &TestDatabase, owner: &str) {
    run_some_chunks(database, 1);
    let expires = database.either("clock_timestamp() + interval '1 hour'", "'2999-01-01 00:00:00'");
    database.execute(&format!(
        "INSERT INTO sti_backfill_chunk (run_id, sweep, number, after_id, through_id, state, token, owner, \
            lease_expires_at) VALUES (1, 1, 2, '{}', '{}', 'leased', 'old token', '{owner}', {expires}); \
         UPDATE sti_backfill_run SET leased_through = '{}'",
        id(50),
        id(100),
        id(100)
    ));
}

fn a_dead_owners_chunk_is_taken_over_at_once(database: &TestDatabase) {
    some_projects(database);
    leave_a_lease(database, "test/999999999/x");
    let recorder = Recorder::default();
    let done = run_observed(database, &config(5, Scope::NonDraft), &recorder).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals.created.school, database.count("projects_schoolproject"));
    assert_eq!(done.totals.locked, database.count("projects_project WHERE NOT is_draft"));
    let events = recorder.0.into_inner().unwrap();
    let taken = |event: &Event| matches!(event, Event::LeaseTaken { number: 2, from, .. } if from == "test/999999999/x");
    assert!(events.iter().any(taken), "{events:?}");
    assert_eq!(database.value("SELECT attempts FROM sti_backfill_chunk WHERE number = 2"), "2");
}

/// A process that stood still after it took its lease finds, when it goes on, that somebody else has the chunk.
fn an_old_token_commits_nothing(database: &TestDatabase) {
    some_projects(database);
    run_some_chunks(database, 1);
    let mut config = config(5, Scope::NonDraft);
    let taken = Arc::new(AtomicU32::new(0));
    let hook = Arc::clone(&taken);
    if database.backend_name() == "postgres" {
        database.execute(
            "CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                IF NEW.number = 2 THEN NEW.token := 'stolen'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER steal BEFORE INSERT ON sti_backfill_chunk FOR EACH ROW EXECUTE FUNCTION steal()",
        );
    } else {
        database.execute(
            "CREATE TRIGGER steal AFTER INSERT ON sti_backfill_chunk WHEN NEW.number = 2 BEGIN \
                UPDATE sti_backfill_chunk SET token = 'stolen' WHERE id = NEW.id; END",
        );
    }
    config.probe = sti_core::probe::Probe::new(move |_| {
        hook.fetch_add(1, Ordering::SeqCst);
    });
    let stopper = StopAfter(config.stop.clone(), AtomicU32::new(1));
    let stopped = run_observed(database, &config, &stopper).unwrap();
    assert_eq!(stopped.ending, Ending::Stopped);
    let states = database.column("state", "FROM sti_backfill_chunk ORDER BY number");
    assert_eq!(states[1].as_deref(), Some("leased"), "chunk 2 belongs to somebody else");
    let behind =
        format!("projects_schoolproject WHERE project_id > '{}' AND project_id <= '{}'", id(50), id(100));
    assert_eq!(database.count(&behind), 0, "nothing of chunk 2 was written");
    assert!(taken.load(Ordering::SeqCst) > 0, "the other chunks were worked on");
}

/// Inserts a project behind the cursor, once, as a service does that knows nothing of subtype rows.
struct InsertBehind<'a> {
    database: &'a TestDatabase,
    left: AtomicU32,
    each_sweep: bool,
}

impl Observer for InsertBehind<'_> {
    fn event(&self, event: &Event) {
        let now = match event {
            Event::ChunkDone { number: 1, sweep, .. } => self.each_sweep || *sweep == 1,
            _ => false,
        };
        if now && self.left.load(Ordering::SeqCst) > 0 {
            let number = self.left.fetch_sub(1, Ordering::SeqCst);
            insert_project(self.database, number, "school", false);
        }
    }
}

fn a_project_behind_the_cursor_is_caught_up_with(database: &TestDatabase) {
    some_projects(database);
    let recorder = Recorder::default();
    let writer = InsertBehind { database, left: AtomicU32::new(1), each_sweep: false };
    let both = Tell(|event: &Event| {
        recorder.event(event);
        writer.event(event);
    });
    let done = run_observed(database, &config(5, Scope::NonDraft), &both).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(database.count(&format!("projects_schoolproject WHERE project_id = '{}'", id(1))), 1);
    assert_eq!(
        done.totals.locked,
        database.count("projects_project WHERE NOT is_draft"),
        "each counted once"
    );
    let sweeps: Vec<(i32, i64)> = recorder
        .0
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::SweepDone { sweep, missing } => Some((*sweep, *missing)),
            _ => None,
        })
        .collect();
    assert_eq!(sweeps, [(1, 1), (2, 0)]);
}

fn a_writer_that_never_ends_is_not_called_complete(database: &TestDatabase) {
    some_projects(database);
    let writer = InsertBehind { database, left: AtomicU32::new(9), each_sweep: true };
    let done = run_observed(database, &config(5, Scope::NonDraft), &writer).unwrap();
    assert_eq!(done.ending, Ending::StillMissing(1));
    assert_eq!(database.value("SELECT state FROM sti_backfill_run"), "failed");
    let reason = database.value("SELECT stop_reason FROM sti_backfill_run");
    assert_eq!(reason, "1 projects still lack their row after sweep 6");
}

fn a_missing_table_is_named(database: &TestDatabase) {
    let missing = run(database, &config(5, Scope::NonDraft)).unwrap_err().to_string();
    assert_eq!(missing, "table projects_project is not there: run `sti-migrate up` first");
    migrate(database);
    database.execute("ALTER TABLE projects_project DROP COLUMN teacher_name");
    let missing = run(database, &config(5, Scope::NonDraft)).unwrap_err().to_string();
    assert_eq!(missing, "column projects_project.teacher_name is not there: run `sti-migrate up` first");
}

fn nothing_to_do_is_done(database: &TestDatabase) {
    migrate(database);
    let done = run(database, &config(5, Scope::All)).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals, Totals::default());
    assert_eq!(database.count("sti_backfill_chunk"), 0);
}

/// What was made here is created, whatever a trigger of the application makes of it; only what was there is compared.
fn rows_that_a_trigger_changes_as_they_are_made_are_no_conflicts(database: &TestDatabase) {
    migrate(database);
    for number in 1..=2 {
        insert_project(database, number, "school", false);
    }
    assert_eq!(run(database, &config(10, Scope::NonDraft)).unwrap().totals.created.school, 2);
    database.execute(&format!(
        "UPDATE projects_schoolproject SET course_code = 'another' WHERE project_id = '{}'; {}",
        id(2),
        database.either(
            "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                NEW.course_name = upper(NEW.course_name); RETURN NEW; END $$; \
             CREATE TRIGGER shout BEFORE INSERT ON projects_schoolproject FOR EACH ROW EXECUTE FUNCTION shout()",
            "CREATE TRIGGER shout AFTER INSERT ON projects_schoolproject BEGIN \
                UPDATE projects_schoolproject SET course_name = upper(course_name) \
                WHERE project_id = NEW.project_id; END",
        )
    ));
    for number in 3..=6 {
        insert_project(database, number, "school", false);
    }
    let totals = run(database, &config(10, Scope::NonDraft)).unwrap().totals;
    assert_eq!((totals.created.school, totals.equal.school, totals.conflict.school), (4, 1, 1));
}
