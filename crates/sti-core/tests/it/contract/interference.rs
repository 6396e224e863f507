//! What others do while a drop is on its way.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sti_core::both_backends;
use sti_core::contract::{
    Answer, ContractError, Gate, Outcome, Refusal, Rehearsal, leftovers, plan, rehearse,
};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;

use super::rig::{
    columns_left, connector, drop_with, everything, nothing_is_left, on_retry, once, once_at, options,
    planned, ready, shut, try_drop,
};

both_backends! {
    a_plan_needs_no_right_to_write,
    a_run_that_begins_meanwhile_is_seen_under_the_locks,
    two_drops_at_once_make_one,
    an_archive_that_lacks_a_row_is_no_archive,
}

fn a_plan_needs_no_right_to_write(database: &TestDatabase) {
    ready(database);
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let read = plan(&mut connect(&url, Access::Read, "reader").unwrap(), &options()).unwrap();
    assert!(read.is_open(), "{:#?}", read.gates);
    let done = drop_with(database.url(), &options(), &read.digest).unwrap();
    assert!(matches!(done, Outcome::Done(_)), "{done:?}");
}

fn a_run_that_begins_meanwhile_is_seen_under_the_locks(database: &TestDatabase) {
    use diesel::connection::SimpleConnection as _;
    ready(database);
    let digest = planned(database, &options()).digest;
    let url = database.url().to_owned();
    let mut options = options();
    options.probe = once_at(Step::Begin, move || {
        let begins = "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, \
                      tool_version, started_by) VALUES ('active', false, 1, 0, '2026-01-02 03:04:05', '1', 'a/1/b')";
        connector(&url)().unwrap().batch_execute(begins).unwrap();
    });
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    let Outcome::Refused { plan, why: Refusal::GatesUnderLock } = outcome else { panic!("{outcome:?}") };
    assert_eq!(shut(&plan), [Gate::BackfillIdle]);
    assert_eq!((columns_left(database), database.count("sti_drop_event")), (5, 0));
}

/// Two people confirm the same plan: one makes the drop, the other finds it made.
fn two_drops_at_once_make_one(database: &TestDatabase) {
    ready(database);
    let digest = planned(database, &options()).digest;
    let second: Arc<Mutex<Option<thread::JoinHandle<Outcome>>>> = Arc::default();
    let (handle, url, confirm) = (Arc::clone(&second), database.url().to_owned(), digest.clone());
    let mut first = options();
    // The second has made its plan, with the columns there, before the first takes its locks; and goes no further,
    // where it would find the first at work.
    let postgres = database.backend_name() == "postgres";
    let is_planned_at = if postgres { Step::Prepare } else { Step::Begin };
    first.probe = once_at(Step::Begin, move || {
        let (planned, is_planned) = std::sync::mpsc::channel();
        let spawned = thread::spawn(move || {
            let mut options = options();
            options.attempts = 20;
            options.probe = once_at(is_planned_at, move || planned.send(()).unwrap());
            drop_with(&url, &options, &confirm).unwrap()
        });
        is_planned.recv().unwrap();
        *handle.lock().unwrap() = Some(spawned);
    });
    first.attempts = 20;
    let outcomes = [
        drop_with(database.url(), &first, &digest).unwrap(),
        second.lock().unwrap().take().unwrap().join().unwrap(),
    ];
    let mut answers: Vec<Answer> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Done(done) => done.answer,
            other => panic!("{other:?}"),
        })
        .collect();
    answers.sort_by_key(|answer| *answer == Answer::Earlier);
    assert_eq!(answers, [Answer::Commit, Answer::Earlier]);
    assert_eq!((database.count("sti_drop_event"), database.count("sti_legacy_archive")), (1, 4));
}

/// While one compares and archives, however long that takes, another one is told so, and locks no table.
#[test]
fn a_drop_beside_one_that_archives_is_told_so() {
    use diesel::connection::SimpleConnection as _;
    let database = TestDatabase::postgres();
    ready(&database);
    let digest = planned(&database, &options()).digest;
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let (url, aged, shared) = (database.url().to_owned(), database.url().to_owned(), Arc::clone(&told));
    // As if it had been heard of last before a long snapshot.
    let age = once(move || {
        let old = "UPDATE sti_drop_run SET seen_at = seen_at - interval '2 minutes'";
        connector(&aged)().unwrap().batch_execute(old).unwrap();
    });
    let second = once(move || {
        let at_work = leftovers(&mut connector(&url)().unwrap()).unwrap().at_work();
        let mut told = vec![format!("at work: {at_work}")];
        let second = rehearse(
            &mut connector(&url),
            &options(),
            &mut on_retry(|retry| told.push(retry.reason.clone())),
        );
        told.push(match second {
            Ok(Rehearsal::Blocked(blocked)) if blocked.by_another_drop => {
                format!("blocked: {}", blocked.reason)
            }
            other => format!("{other:?}"),
        });
        *shared.lock().unwrap() = told;
    });
    let mut first = options();
    first.probe = Probe::new(move |step| match step {
        Step::Snapshot => age(),
        Step::Archive => second(),
        _ => {}
    });
    let outcome = drop_with(database.url(), &first, &digest).unwrap();
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let other = "another drop or rehearsal is at work";
    assert_eq!(*told.lock().unwrap(), ["at work: true", other, &format!("blocked: {other}")]);
}

/// A trigger, or whatever else, swallows a row on its way into the archive.
fn an_archive_that_lacks_a_row_is_no_archive(database: &TestDatabase) {
    ready(database);
    database.execute(database.either(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN IF NEW.project_type = ''school'' THEN RETURN NEW; END IF; RETURN NULL; END'; \
         CREATE TRIGGER swallow BEFORE INSERT ON sti_legacy_archive FOR EACH ROW EXECUTE FUNCTION swallow()",
        "CREATE TRIGGER swallow BEFORE INSERT ON sti_legacy_archive WHEN NEW.project_type <> 'school' \
         BEGIN SELECT RAISE(IGNORE); END",
    ));
    let before = everything(database);
    let error = try_drop(database, &options()).unwrap_err();
    assert!(matches!(error, ContractError::Unexpected { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "rolled back, nothing was changed: expected rows in the archive: 4, found 2 (please report it)"
    );
    assert_eq!((columns_left(database), everything(database)), (5, before));
}

/// No statement under the locks runs for longer than what was allowed.
#[test]
fn a_statement_that_takes_too_long_is_given_up() {
    let database = TestDatabase::postgres();
    ready(&database);
    database.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'; \
         CREATE TRIGGER dawdle BEFORE INSERT ON sti_drop_event FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    let before = everything(&database);
    let mut options = options();
    options.max_lock = Duration::from_secs(1);
    let outcome = try_drop(&database, &options).unwrap();
    let Outcome::Refused { why: Refusal::LockTooLong { held, allowed }, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(held < 2 * allowed, "{held:?}");
    assert_eq!((columns_left(&database), everything(&database)), (5, before));
}

/// Behind a pooler the next transaction may be one of a server that has failed over, where the last one's COMMIT has not
/// arrived: what is known of the values is not in that archive.
#[test]
fn a_commit_that_did_not_survive_is_noticed() {
    for lost_before in [Step::CatchUp, Step::Begin] {
        let database = Arc::new(TestDatabase::postgres());
        ready(&database);
        let digest = planned(&database, &options()).digest;
        let shared = Arc::clone(&database);
        let mut options = options();
        let [keep, go_back] = [
            "CREATE TABLE older AS TABLE sti_drop_run",
            "DELETE FROM sti_legacy_archive; \
             UPDATE sti_drop_run r SET seen_at = o.seen_at FROM older o WHERE o.id = r.id",
        ];
        let other = Arc::clone(&database);
        let (keep, go_back) = (once(move || shared.execute(keep)), once(move || other.execute(go_back)));
        options.probe = Probe::new(move |step| {
            if step == Step::Snapshot {
                keep();
            } else if step == lost_before {
                go_back();
            }
        });
        let outcome = drop_with(database.url(), &options, &digest);
        assert!(matches!(outcome, Err(ContractError::Overtaken)), "{lost_before:?}: {outcome:?}");
        assert_eq!((columns_left(&database), database.count("sti_drop_event")), (5, 0), "{lost_before:?}");
        nothing_is_left(&database);
    }
}

/// A client that stands still under the locks, as one that is suspended or cut off does, keeps nobody waiting for longer
/// than what was allowed.
#[test]
fn locks_do_not_outlive_a_client_that_stands_still() {
    let waited = stands_still(Duration::from_secs(2));
    assert!(waited < Duration::from_secs(8), "{waited:?}");
}

/// A slow one is not taken for one that stands still, however little was allowed.
#[test]
fn a_client_may_be_slow_for_half_a_second() {
    // On a machine that is busy it does not get there in so short a time.
    let waited = (0..20).map(|_| stands_still(Duration::from_millis(300))).find(|waited| !waited.is_zero());
    let waited = waited.expect("never under the locks");
    assert!((Duration::from_millis(450)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
}

/// How long somebody else waits for the table while a drop stands still under its locks.
fn stands_still(max_lock: Duration) -> Duration {
    let database = Arc::new(TestDatabase::postgres());
    ready(&database);
    let digest = planned(&database, &options()).digest;
    let waited: Arc<Mutex<Duration>> = Arc::default();
    let (shared, reader) = (Arc::clone(&waited), Arc::clone(&database));
    let mut options = options();
    options.max_lock = max_lock;
    // It goes on only when somebody else has read the table.
    options.probe = once_at(Step::Write, move || {
        let begun = Instant::now();
        assert_eq!(reader.count("projects_project"), 4);
        *shared.lock().unwrap() = begun.elapsed();
    });
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    let waited = *waited.lock().unwrap();
    assert!(matches!(outcome, Outcome::NotDone { .. }) || waited.is_zero(), "{outcome:?}");
    assert_eq!(columns_left(&database), 5);
    nothing_is_left(&database);
    waited
}
