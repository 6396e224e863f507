//! Locks on live tables: short, tried again, and told with who holds them.

use std::sync::Barrier;
use std::thread;

use sti_core::both_backends;
use sti_core::expand::{self, UpError, UpOptions};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use super::rig::{definitions, open, open_as, plan};

both_backends! { several_at_once_do_it_once }

/// A live database in which a subtype table has to be made, for which the parent has to be locked.
fn without_subtype_tables() -> TestDatabase {
    let database = TestDatabase::django_postgres();
    database.execute("DROP TABLE projects_schoolproject, projects_selfstudyproject CASCADE");
    database
}

const WRITE: &str = "UPDATE projects_project SET name = name || '!' WHERE id = (SELECT min(id::text)::uuid \
                     FROM projects_project)";
const WRITE_ANOTHER: &str = "UPDATE projects_project SET name = name || '!' WHERE id = (SELECT max(id::text)::uuid \
                             FROM projects_project)";

#[test]
fn a_writer_is_waited_for_and_another_is_not_held_up() {
    let database = without_subtype_tables();
    let writer = Session::open(&database, "long writer");
    writer.run("BEGIN");
    writer.run(WRITE);
    let up = thread::scope(|scope| {
        let up = scope.spawn(|| {
            let mut retries = Vec::new();
            let options = UpOptions { attempts: 1000, ..UpOptions::default() };
            let report = expand::up(&mut open_as(database.url(), "sti-migrate up"), options, &mut |retry| {
                retries.push(retry.clone());
            });
            (report, retries)
        });
        // It waits for the first writer; a second one queues behind it, and comes free although the first one has
        // not ended: because the waiting is given up.
        let another = Session::open(&database, "another writer");
        loop {
            wait_until_it_waits(&database, "sti-migrate up");
            another.start(WRITE_ANOTHER);
            let queued = another.comes_to_wait(&database);
            another.finish().unwrap();
            if queued {
                break;
            }
        }
        // Once it waits again, it has asked who held the lock.
        wait_until_it_waits(&database, "sti-migrate up");
        writer.run("COMMIT");
        up.join().unwrap()
    });
    let (report, retries) = up;
    let report = report.unwrap();
    assert!(report.changed());
    assert_eq!(report.attempts as usize, retries.len() + 1);
    assert_eq!(retries[0].attempt, 1);
    let holder = &retries[0].holders[0];
    assert_eq!((holder.application.as_str(), holder.on.as_str()), ("long writer", "projects_project"));
    assert_eq!(holder.state, "idle in transaction");
    assert!(holder.pid.is_some() && holder.age.is_some(), "{holder:?}");
    assert!(retries[0].reason.contains("lock timeout"), "{}", retries[0].reason);
    assert!(plan(&database).is_done());
}

#[test]
fn a_writer_that_does_not_end_is_named() {
    let database = without_subtype_tables();
    let writer = Session::open(&database, "long writer");
    writer.run("BEGIN");
    writer.run(WRITE);
    let before = definitions(&database);
    let options = UpOptions { attempts: 2, ..UpOptions::default() };
    let error = expand::up(&mut open(&database), options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, UpError::Locked { attempts: 2, .. }), "{error}");
    assert_eq!(definitions(&database), before);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"pid \d+", "pid [pid]");
    settings.add_filter(r"of \d+ s", "of [seconds] s");
    settings.bind(|| insta::assert_snapshot!("locked_postgres", error));
}

/// Adopting takes no lock on the application's tables at all.
#[test]
fn adopting_does_not_wait_for_a_writer() {
    let database = TestDatabase::django_postgres();
    let writer = Session::open(&database, "long writer");
    writer.run("BEGIN");
    writer.run("LOCK TABLE projects_project, projects_schoolproject IN ACCESS EXCLUSIVE MODE");
    let options = UpOptions { attempts: 1, ..UpOptions::default() };
    assert!(expand::up(&mut open(&database), options, &mut |_| {}).unwrap().changed());
}

#[test]
fn another_sti_migrate_is_named() {
    let database = TestDatabase::postgres();
    let other = Session::open(&database, "other");
    // The number is `sti` in ASCII.
    other.run("BEGIN; SELECT pg_advisory_xact_lock(x'737469'::int, 1)");
    let options = UpOptions { attempts: 1, ..UpOptions::default() };
    let error = expand::up(&mut open(&database), options, &mut |_| {}).unwrap_err();
    let UpError::Locked { holders, .. } = error else { panic!("{error}") };
    assert_eq!(holders[0].application, "other");
    assert_eq!(holders[0].on, "the schema (another sti-migrate)");
}

fn several_at_once_do_it_once(database: &TestDatabase) {
    const AT_ONCE: usize = 4;
    let barrier = Barrier::new(AT_ONCE);
    let changed = thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = open(database);
                    barrier.wait();
                    expand::up(&mut connection, UpOptions::default(), &mut |_| {}).unwrap().changed()
                })
            })
            .collect();
        all.into_iter().map(|up| up.join().unwrap()).filter(|changed| *changed).count()
    });
    assert_eq!(changed, 1);
    assert!(plan(database).is_done());
}

/// SQLite does not say who holds its lock.
#[test]
fn a_locked_file_is_told_after_the_last_attempt() {
    let database = TestDatabase::django_sqlite();
    let before = definitions(&database);
    let mut writer = open(&database);
    sti_core::db::write_transaction(&mut writer, |_| {
        let mut connection = open(&database);
        diesel::connection::SimpleConnection::batch_execute(&mut connection, "PRAGMA busy_timeout = 1")
            .unwrap();
        let mut retries = 0;
        let options = UpOptions { attempts: 2, ..UpOptions::default() };
        let error = expand::up(&mut connection, options, &mut |_| retries += 1).unwrap_err();
        assert_eq!(retries, 1);
        insta::assert_snapshot!("locked_sqlite", error);
        Ok::<_, diesel::result::Error>(())
    })
    .unwrap();
    assert_eq!(definitions(&database), before);
}
