//! What makes a backfill wait: a pause, a window, a share of rest; and that a cancel ends it. The lag has a file of its
//! own.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use sti_core::backfill::{Backfill, BackfillConfig, Ending, Gate, Scope, ThrottleReason, Totals, control};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::observe::{Event, Observer};
use sti_core::test_support::TestDatabase;

use super::rig::{Recorder, Tell, config, insert_project, migrate, open, run, run_observed};

sti_core::both_backends! {
    a_pause_is_kept_until_its_resume,
    a_paused_run_begins_no_chunk_and_holds_nothing,
    a_pause_before_the_run_holds_it_back,
    a_cancel_ends_a_run_that_works,
    a_cancel_ends_a_run_that_waits,
    outside_of_its_window_nothing_is_done,
    a_gate_that_says_stop_is_waited_for,
    a_pace_is_counted,
    a_pause_that_cannot_be_read_is_waited_for,
}

fn some_projects(database: &TestDatabase) {
    migrate(database);
    for number in 1..=30 {
        insert_project(database, number, "school", false);
    }
}

/// Tells of each event, as soon as it has happened.
pub(super) struct Teller(Mutex<Sender<Event>>);

impl Observer for Teller {
    fn event(&self, event: &Event) {
        // A test that has seen enough no longer listens.
        let _ = self.0.lock().unwrap().send(event.clone());
    }
}

/// Runs a backfill on a thread; `act` sees its events and does something to it.
pub(super) fn beside<T>(
    database: &TestDatabase,
    config: &BackfillConfig,
    act: impl FnOnce(&mut Until<'_>) -> T,
) -> (Backfill, T) {
    beside_as(database.url(), config, act)
}

/// Lets a test fail, and not wait for ever, when something is not as expected while the backfill waits.
struct StopOnPanic<'c>(&'c BackfillConfig);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        self.0.stop.stop();
    }
}

/// Waits for the next event of a sort.
pub(super) type Until<'u> = dyn FnMut(&dyn Fn(&Event) -> bool) -> Event + 'u;

/// [`beside`], with the database's URL for a certain role.
pub(super) fn beside_as<T>(
    url: &str,
    config: &BackfillConfig,
    act: impl FnOnce(&mut Until<'_>) -> T,
) -> (Backfill, T) {
    let (sender, events) = channel();
    let url = DatabaseUrl::parse(url).unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let teller = Teller(Mutex::new(sender));
            let ended = Backfill::run(&|| connect(&url, Access::Write, "test backfill"), config, &teller);
            ended.unwrap_or_else(|e| panic!("the run failed: {e}"))
        });
        let mut until = |wanted: &dyn Fn(&Event) -> bool| loop {
            let event = events.recv_timeout(Duration::from_secs(30)).expect("the event has not come");
            if wanted(&event) {
                return event;
            }
        };
        let stop = StopOnPanic(config);
        let acted = act(&mut until);
        std::mem::forget(stop);
        (running.join().unwrap(), acted)
    })
}

pub(super) fn throttled(event: &Event) -> bool {
    matches!(event, Event::Throttled { .. })
}

fn a_pause_is_kept_until_its_resume(database: &TestDatabase) {
    migrate(database);
    let connection = &mut open(database);
    assert_eq!(control::paused(connection).unwrap(), None);
    assert_eq!(control::resume(connection, "ana").unwrap(), None, "nothing to end");
    let first = control::pause(connection, "users complain", "ana").unwrap();
    assert_eq!((first.already, first.run), (None, None));
    let held = control::paused(connection).unwrap().unwrap();
    assert_eq!((held.by.as_str(), held.reason.as_str()), ("ana", "users complain"));
    let again = control::pause(connection, "me too", "ben").unwrap();
    assert_eq!(again.already.as_ref(), Some(&held), "it is left as it is");
    assert_eq!(control::cancel(connection, "no", "ben").unwrap(), None, "no run to give up");
    assert_eq!(control::paused(connection).unwrap().as_ref(), Some(&held));
    assert_eq!(control::resume(connection, "ben").unwrap(), Some(held));
    assert_eq!(control::paused(connection).unwrap(), None);
    let actions = database.column("action", "FROM sti_backfill_control ORDER BY id");
    assert_eq!(actions.into_iter().flatten().collect::<Vec<_>>(), ["pause", "resume"]);
}

fn a_paused_run_begins_no_chunk_and_holds_nothing(database: &TestDatabase) {
    some_projects(database);
    let pausing = Tell(|event: &Event| {
        if matches!(event, Event::ChunkDone { number: 2, .. }) {
            control::pause(&mut open(database), "look first", "ana").unwrap();
        }
    });
    let (sender, events) = channel();
    let teller = Teller(Mutex::new(sender));
    let both = Tell(|event: &Event| {
        pausing.event(event);
        teller.event(event);
    });
    let config = config(5, Scope::NonDraft);
    let done = std::thread::scope(|scope| {
        let running = scope.spawn(|| run_observed(database, &config, &both).unwrap());
        let stop = StopOnPanic(&config);
        let wait = std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(30)).ok());
        let mut chunks = 0;
        for event in wait {
            chunks += i32::from(matches!(event, Event::ChunkDone { .. }));
            if let Event::Throttled { reason, waited } = event {
                assert_eq!(waited, Duration::ZERO);
                assert!(matches!(&reason, ThrottleReason::Paused { by, .. } if by == "ana"), "{reason}");
                assert!(reason.to_string().contains("`sti resume` lets it go on"), "{reason}");
                break;
            }
        }
        assert_eq!(chunks, 2, "no chunk begins after the pause");
        assert_eq!(database.count("sti_backfill_chunk WHERE state = 'leased'"), 0);
        if database.backend_name() == "postgres" {
            let open = "pg_stat_activity WHERE application_name = 'test backfill' AND datname = current_database() \
                        AND state LIKE 'idle in transaction%'";
            assert_eq!(database.count(open), 0);
            let locks = "pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'test backfill' \
                         AND a.datname = current_database() AND a.state = 'idle' AND l.locktype <> 'virtualxid'";
            assert_eq!(database.count(locks), 0);
        }
        // A writer gets at every project.
        database.execute("UPDATE projects_project SET name = 'while it is paused'");
        control::resume(&mut open(database), "ben").unwrap();
        std::mem::forget(stop);
        running.join().unwrap()
    });
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals.created.school, 30);
    let waits = database.select(&["reason", "detail"], "FROM sti_backfill_wait WHERE NOT waiting");
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!(waits[0][0].as_deref(), Some("paused"));
}

fn a_pause_before_the_run_holds_it_back(database: &TestDatabase) {
    some_projects(database);
    control::pause(&mut open(database), "not tonight", "ana").unwrap();
    let config = config(5, Scope::NonDraft);
    let (stopped, ()) = beside(database, &config, |until| {
        until(&throttled);
        assert_eq!(database.count("sti_backfill_wait WHERE waiting AND reason = 'paused'"), 1);
        config.stop.stop();
        until(&|event| matches!(event, Event::ThrottleEnded { .. }));
    });
    assert_eq!(stopped.ending, Ending::Stopped, "a wait ends when it is asked to stop");
    assert_eq!(stopped.totals, Totals::default());
    assert_eq!(database.count("sti_backfill_chunk"), 0);
    assert_eq!(database.count("sti_backfill_wait WHERE waiting"), 0);
}

fn a_gate_that_says_stop_is_waited_for(database: &TestDatabase) {
    some_projects(database);
    let says = Arc::new(Mutex::new(Some("the API is slow".to_owned())));
    let asked = Arc::clone(&says);
    let mut config = config(5, Scope::NonDraft);
    config.gate = Some(Gate::new(move || asked.lock().unwrap().clone()));
    let (done, ()) = beside(database, &config, |until| {
        let Event::Throttled { reason, .. } = until(&throttled) else { unreachable!() };
        assert_eq!(reason.to_string(), "the API is slow; it goes on when the gate says go");
        assert_eq!(database.count("sti_backfill_chunk"), 0);
        assert_eq!(database.count("sti_backfill_wait WHERE waiting AND reason = 'gate'"), 1);
        *says.lock().unwrap() = None;
        until(&|event| matches!(event, Event::ThrottleEnded { .. }));
        until(&|event| matches!(event, Event::ChunkDone { number: 2, .. }));
    });
    assert_eq!((done.ending, done.totals.created.school), (Ending::Complete, 30));
    assert_eq!(database.count("sti_backfill_wait WHERE NOT waiting AND reason = 'gate'"), 1);
}

fn a_cancel_ends_a_run_that_works(database: &TestDatabase) {
    some_projects(database);
    let cancelling = Tell(|event: &Event| {
        if matches!(event, Event::ChunkDone { number: 3, .. }) {
            let cancelled = control::cancel(&mut open(database), "wrong night", "ana").unwrap().unwrap();
            assert_eq!(cancelled.totals.created.school, 15);
        }
    });
    let ended = run_observed(database, &config(5, Scope::NonDraft), &cancelling).unwrap();
    assert_eq!(ended.ending, Ending::GivenUp);
    assert_eq!(ended.stop_reason.as_deref(), Some("cancelled by ana: wrong night"));
    assert_eq!(ended.totals.created.school, 15, "what it had made stays");
    assert_eq!(database.count("projects_schoolproject"), 15);
    assert_eq!(database.value("SELECT state FROM sti_backfill_run"), "abandoned");
    let anew = run(database, &config(5, Scope::NonDraft)).unwrap();
    assert!(!anew.resumed);
    assert_eq!((anew.totals.equal.school, anew.totals.created.school), (15, 15));
}

fn a_cancel_ends_a_run_that_waits(database: &TestDatabase) {
    some_projects(database);
    control::pause(&mut open(database), "first", "ana").unwrap();
    let (ended, ()) = beside(database, &config(5, Scope::NonDraft), |until| {
        until(&throttled);
        control::cancel(&mut open(database), "then", "ben").unwrap().unwrap();
    });
    assert_eq!(ended.ending, Ending::GivenUp);
    assert!(control::paused(&mut open(database)).unwrap().is_some(), "the pause is another matter");
}

fn outside_of_its_window_nothing_is_done(database: &TestDatabase) {
    some_projects(database);
    let window = |from: i64, to: i64| {
        let at = |hours: i64| (Utc::now() + TimeDelta::hours(hours)).format("%H:%M");
        format!("{}-{}+00:00", at(from), at(to)).parse().unwrap()
    };
    let mut config = config(5, Scope::NonDraft);
    config.throttle.window = Some(window(6, 8));
    let (stopped, ()) = beside(database, &config, |until| {
        let Event::Throttled { reason: ThrottleReason::Window { opens_at }, .. } = until(&throttled) else {
            panic!("it waits for something else");
        };
        assert!(opens_at > Utc::now() + TimeDelta::hours(5), "{opens_at}");
        config.stop.stop();
    });
    assert_eq!(stopped.totals, Totals::default());
    let mut config = super::rig::config(5, Scope::NonDraft);
    config.throttle.window = Some(window(-2, 2));
    assert_eq!(run(database, &config).unwrap().ending, Ending::Complete);
}

fn a_pace_is_counted(database: &TestDatabase) {
    some_projects(database);
    let mut config = config(5, Scope::NonDraft);
    config.throttle.pace = "0.5".parse().unwrap();
    let recorder = Recorder::default();
    let begun = std::time::Instant::now();
    let done = run_observed(database, &config, &recorder).unwrap();
    let took = begun.elapsed();
    assert_eq!(done.ending, Ending::Complete);
    let events = recorder.0.into_inner().unwrap();
    let worked: Duration = events
        .iter()
        .filter_map(|event| match event {
            Event::ChunkDone { duration, .. } => Some(*duration),
            _ => None,
        })
        .sum();
    assert!(took >= worked * 2, "six chunks took {worked:?}, with a rest after each: {took:?}");
    assert!(!events.iter().any(throttled), "rests are not told");
}

/// A signal that cannot be read counts as bad: it waits, says why, and goes on when it can be read.
fn a_pause_that_cannot_be_read_is_waited_for(database: &TestDatabase) {
    some_projects(database);
    let broken = Arc::new(Mutex::new(false));
    let breaking = Tell(|event: &Event| {
        let mut broken = broken.lock().unwrap();
        if matches!(event, Event::ChunkDone { number: 2, .. }) && !*broken {
            *broken = true;
            database.execute("ALTER TABLE sti_backfill_control RENAME TO hidden");
        }
        if let Event::Throttled { reason: ThrottleReason::Unreadable { what }, .. } = event {
            assert!(what.contains("reading whether the backfill is paused"), "{what}");
            database.execute("ALTER TABLE hidden RENAME TO sti_backfill_control");
        }
    });
    let recorder = Recorder::default();
    let both = Tell(|event: &Event| {
        recorder.event(event);
        breaking.event(event);
    });
    let done = run_observed(database, &config(5, Scope::NonDraft), &both).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    let events = recorder.0.into_inner().unwrap();
    assert!(events.iter().any(throttled), "{events:?}");
}
