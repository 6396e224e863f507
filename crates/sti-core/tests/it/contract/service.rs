//! Services that write and read all the time go through the drop without a failed call.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{SimpleConnection as _, TransactionManager as _};
use sti_core::both_backends;
use sti_core::contract::DropOptions;
use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect, write_transaction};
use sti_core::models::Kind;
use sti_core::repository::{ListQuery, RepositoryError};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectId, ProjectRepository, WriteMode};

use super::rig::{columns_left, dropped, options};
use crate::repository::rig::{details_of, id, migrate, new_school, row, teacher, texts};

both_backends! { services_go_through_the_drop }

/// One service: its mode, and whether it works inside a transaction of its own.
#[derive(Clone, Copy, Debug)]
struct Service {
    number: u32,
    mode: WriteMode,
    in_transaction: bool,
}

const SERVICES: [Service; 4] = [
    Service { number: 1, mode: WriteMode::Dual, in_transaction: false },
    Service { number: 2, mode: WriteMode::Subtype, in_transaction: false },
    Service { number: 3, mode: WriteMode::Dual, in_transaction: true },
    Service { number: 4, mode: WriteMode::Subtype, in_transaction: true },
];

/// Rounds that each service must have done before the drop begins, and again after it.
const ROUNDS: u32 = 5;

/// Writes, reads what it wrote, lists, makes a project and takes it away again.
fn round(
    connection: &mut AnyConnection,
    repository: &ProjectRepository,
    own: ProjectId,
    round: u32,
) -> Result<(), RepositoryError> {
    let name = format!("teacher {round}");
    repository.update(connection, own, &teacher(&name))?;
    assert_eq!(details_of(&repository.get(connection, own)?), ["a", "b", &name]);
    let listed = repository.list(connection, &ListQuery { limit: 3, ..ListQuery::default() })?;
    assert!(listed.iter().all(|record| details_of(record)[..2] == ["a", "b"]), "{listed:?}");
    let mut new = new_school(0, "a", "b", "c");
    new.id = ProjectId::random();
    repository.create(connection, &new)?;
    repository.delete(connection, new.id)
}

impl Service {
    /// Works until it is told to stop; `done` counts its rounds.
    fn work(self, url: &str, stop: &AtomicBool, done: &AtomicU32) -> Result<(), String> {
        let url = DatabaseUrl::parse(url).unwrap();
        let mut connection = connect(&url, Access::Write, &format!("service {}", self.number)).unwrap();
        if matches!(connection, AnyConnection::Sqlite(_)) {
            // Four services that never rest: who is unlucky waits for long, with or without a drop.
            connection.batch_execute("PRAGMA busy_timeout = 100000; PRAGMA synchronous = OFF").unwrap();
        }
        let repository =
            ProjectRepository::open(&mut connection, self.mode).map_err(|error| error.to_string())?;
        while !stop.load(SeqCst) {
            let number = done.load(SeqCst) + 1;
            let own = id(self.number);
            let result = if self.in_transaction {
                write_transaction(&mut connection, |connection| round(connection, &repository, own, number))
            } else {
                round(&mut connection, &repository, own, number)
            };
            result.map_err(|error| format!("{self:?}, round {number}: {error}"))?;
            assert!(!is_in_transaction(&mut connection));
            done.store(number, SeqCst);
        }
        Ok(())
    }
}

fn is_in_transaction(connection: &mut AnyConnection) -> bool {
    type Manager = <AnyConnection as diesel::Connection>::TransactionManager;
    let status = Manager::transaction_manager_status_mut(connection);
    status.transaction_depth().unwrap().is_some()
}

/// Waits until every service has done `rounds` more, or has ended, which shows when it is joined.
fn wait_for_rounds(done: &[AtomicU32], rounds: u32, ended: impl Fn() -> bool) {
    let targets: Vec<u32> = done.iter().map(|done| done.load(SeqCst) + rounds).collect();
    let begun = Instant::now();
    while !ended() && done.iter().zip(&targets).any(|(done, target)| done.load(SeqCst) < *target) {
        assert!(begun.elapsed() < Duration::from_secs(120), "no progress: {done:?} of {targets:?}");
        thread::yield_now();
    }
}

fn services_go_through_the_drop(database: &TestDatabase) {
    migrate(database);
    if database.backend_name() == "sqlite" {
        database.execute("PRAGMA journal_mode = WAL");
    }
    let repository = |mode| ProjectRepository::open(&mut super::rig::open(database), mode).unwrap();
    for service in SERVICES {
        let new = new_school(service.number, "a", "b", "teacher 0");
        repository(WriteMode::Dual).create(&mut super::rig::open(database), &new).unwrap();
    }
    let mut options: DropOptions = options();
    options.attempts = 40;
    let stop = AtomicBool::new(false);
    let done: Vec<AtomicU32> = SERVICES.iter().map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        let (stop, done) = (&stop, &done);
        let services: Vec<_> = SERVICES
            .into_iter()
            .zip(done)
            .map(|(service, done)| {
                let url = database.application_role();
                scope.spawn(move || service.work(&url, stop, done))
            })
            .collect();
        let ended = || services.iter().any(thread::ScopedJoinHandle::is_finished);
        wait_for_rounds(done, ROUNDS, ended);
        if !ended() {
            dropped(database, &options);
            wait_for_rounds(done, ROUNDS, ended);
        }
        stop.store(true, SeqCst);
        for service in services {
            service.join().unwrap().unwrap();
        }
    });
    assert_eq!(columns_left(database), 0);
    for (service, done) in SERVICES.iter().zip(&done) {
        let teacher = format!("teacher {}", done.load(SeqCst));
        let expected = Some(texts(&["a", "b", &teacher]));
        assert_eq!(row(database, Kind::School, id(service.number)), expected, "{service:?}");
    }
}
