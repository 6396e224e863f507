//! The end of a restore: the triggers go only if nobody needs them, and that is seen under the locks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use sti_core::both_backends;
use sti_core::contract::restore::{
    Finish, FinishEvent, FinishOptions, Restoration, RestoreEvent, finish, restore, standing,
};
use sti_core::models::Kind::School;
use sti_core::test_support::TestDatabase;

use super::rig::{chunks_of, drop_by_hand, finished, leftovers, restored};
use crate::repository::rig::{LEGACY, drop_columns, insert, insert_row, legacy, migrate, owner, values};

both_backends! {
    who_goes_on_writing_rows_alone_is_seen_by_a_finish_that_follows_at_once,
    what_services_write_before_they_notice_is_no_reason,
    a_finish_that_is_asked_to_stop_changes_nothing,
    who_writes_rows_alone_while_the_locks_are_waited_for_is_seen,
    columns_that_come_back_anew_have_to_be_noticed_anew,
    triggers_that_are_made_anew_change_no_time,
}

fn plant(database: &TestDatabase) {
    migrate(database);
    for number in 1..=4 {
        insert(database, number, "school", [Some("a"), None, Some("c"), None, None]);
        insert_row(database, School, number, &["a", "", "c"]);
    }
    drop_by_hand(database);
}

/// As if everything had been so for an hour.
fn an_hour_ago(database: &TestDatabase, columns: &[&str]) {
    let ago = database.either("now() - interval '1 hour'", "datetime('now', '-1 hour')");
    let sets: Vec<String> = columns.iter().map(|column| format!("{column} = {ago}")).collect();
    database.execute(&format!("UPDATE sti_drop_event SET {}", sets.join(", ")));
}

fn row_alone(database: &TestDatabase, value: &str) {
    database.execute(&format!("UPDATE projects_schoolproject SET teacher_name = '{value}'"));
}

/// It writes when services may not have noticed the columns yet, and then again.
fn who_goes_on_writing_rows_alone_is_seen_by_a_finish_that_follows_at_once(database: &TestDatabase) {
    plant(database);
    restored(database);
    let over = AtomicBool::new(false);
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = Instant::now();
            for number in 0.. {
                if Instant::now() >= next {
                    row_alone(database, &format!("row only {number}"));
                    next += Duration::from_secs(2);
                }
                if over.load(Ordering::SeqCst) {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let options = FinishOptions { noticed_after: Duration::from_secs(1), ..FinishOptions::default() };
        let answer = finish(&mut || Ok(owner(database)), &options, &mut |_| ());
        over.store(true, Ordering::SeqCst);
        answer.unwrap()
    });
    assert!(matches!(answer, Finish::StillNeeded { event: 1, .. }), "{answer:?}");
    assert!(leftovers(database) > 0);
}

fn what_services_write_before_they_notice_is_no_reason(database: &TestDatabase) {
    plant(database);
    restored(database);
    row_alone(database, "by a service");
    let second = Duration::from_secs(1);
    let options =
        FinishOptions { noticed_after: 2 * second, watched_for: second, ..FinishOptions::default() };
    let mut watching = Vec::new();
    let answer = finish(&mut || Ok(owner(database)), &options, &mut |event| match event {
        FinishEvent::Watching { left } => watching.push(*left),
        FinishEvent::Retried(retry) => panic!("{retry:?}"),
    });
    assert_eq!(answer.unwrap(), Finish::Done { event: 1, attempts: 1 });
    assert_eq!(database.count("projects_project WHERE teacher_name = 'by a service'"), 4);
    let drop = standing(&mut owner(database)).unwrap().drops.remove(0);
    let watched = drop.finished_at.unwrap().0 - drop.restore_began_at.unwrap().0;
    assert!(watched >= chrono::TimeDelta::seconds(3), "{watched}");
    assert!(watching.len() == 1 && watching[0] <= 3 * second, "it is told once: {watching:?}");
}

fn a_finish_that_is_asked_to_stop_changes_nothing(database: &TestDatabase) {
    plant(database);
    restored(database);
    let before = leftovers(database);
    let options = FinishOptions::default();
    let begun = Instant::now();
    let answer = finish(&mut || Ok(owner(database)), &options, &mut |_| options.stop.stop());
    assert_eq!(answer.unwrap(), Finish::Stopped { event: 1 });
    assert!(begun.elapsed() < options.noticed_after, "it has waited all the same");
    assert_eq!(leftovers(database), before);
    assert_eq!(finished(database), Finish::Done { event: 1, attempts: 1 });
}

/// The first look finds nobody; then a session that had come before us writes a row and lets the lock go.
fn who_writes_rows_alone_while_the_locks_are_waited_for_is_seen(database: &TestDatabase) {
    plant(database);
    restored(database);
    an_hour_ago(database, &["restore_began_at", "restored_at"]);
    let mut writer = owner(database);
    let begin =
        database.either("BEGIN; LOCK TABLE projects_schoolproject IN ROW EXCLUSIVE MODE", "BEGIN IMMEDIATE");
    writer.batch_execute(begin).unwrap();
    let mut retried = 0;
    let options = FinishOptions::default();
    let answer = finish(&mut || Ok(owner(database)), &options, &mut |event| {
        assert!(matches!(event, FinishEvent::Retried(_)), "it has been an hour: {event:?}");
        retried += 1;
        if retried == 1 {
            writer
                .batch_execute("UPDATE projects_schoolproject SET teacher_name = 'row only'; COMMIT")
                .unwrap();
        }
    })
    .unwrap();
    assert!(retried > 0, "the locks were had at once");
    assert!(matches!(answer, Finish::StillNeeded { event: 1, .. }), "{answer:?}");
    assert!(leftovers(database) > 0);
    assert_eq!(database.count("projects_project WHERE teacher_name = 'row only'"), 4);
    // Once it is quiet, they go.
    assert_eq!(finished(database), Finish::Done { event: 1, attempts: 1 });
}

/// A restore that was begun an hour ago, and stopped behind its first chunk.
fn begun_an_hour_ago(database: &TestDatabase) {
    plant(database);
    let options = chunks_of(2);
    let stop = options.stop.clone();
    let stopped = restore(&mut || Ok(owner(database)), &options, &mut |event| {
        if matches!(event, RestoreEvent::ChunkDone { .. }) {
            stop.stop();
        }
    });
    assert!(matches!(stopped, Ok(Restoration::Stopped(_))), "{stopped:?}");
    an_hour_ago(database, &["restore_began_at"]);
}

fn began_at(database: &TestDatabase) -> chrono::DateTime<chrono::Utc> {
    standing(&mut owner(database)).unwrap().drops[0].restore_began_at.unwrap().0
}

fn take_the_triggers_away(database: &TestDatabase) {
    database.execute(database.either(
        "DROP TRIGGER sti_restore_row ON projects_schoolproject",
        "DROP TRIGGER sti_restore_school_insert; DROP TRIGGER sti_restore_school_update; \
         DROP TRIGGER sti_restore_school_delete; DROP TRIGGER sti_restore_self_study_insert; \
         DROP TRIGGER sti_restore_self_study_update; DROP TRIGGER sti_restore_self_study_delete",
    ));
}

/// Services noticed that they went; that they are back again is news.
fn columns_that_come_back_anew_have_to_be_noticed_anew(database: &TestDatabase) {
    begun_an_hour_ago(database);
    let before = began_at(database);
    take_the_triggers_away(database);
    drop_columns(database, &LEGACY);
    let restored = restored(database);
    assert_eq!((restored.began.unwrap().added, restored.resumed_after), (LEGACY.to_vec(), None));
    let now = began_at(database);
    assert!(now - before > chrono::TimeDelta::minutes(59), "{before} {now}");
    let first = crate::repository::rig::id(1);
    assert_eq!(legacy(database, first), values(&[Some("a"), None, Some("c"), None, None]));
    // The end waits until services have noticed them, from now on.
    let options = FinishOptions {
        noticed_after: Duration::from_secs(2),
        watched_for: Duration::ZERO,
        ..FinishOptions::default()
    };
    let answer = finish(&mut || Ok(owner(database)), &options, &mut |_| ()).unwrap();
    assert_eq!(answer, Finish::Done { event: 1, attempts: 1 });
    let since = chrono::Utc::now() - now;
    assert!(since >= chrono::TimeDelta::seconds(1), "it was not waited for: {since}");
}

fn triggers_that_are_made_anew_change_no_time(database: &TestDatabase) {
    begun_an_hour_ago(database);
    let before = began_at(database);
    take_the_triggers_away(database);
    let restored = restored(database);
    assert_eq!(restored.began.unwrap().added, [""; 0]);
    assert_eq!(began_at(database), before);
}
