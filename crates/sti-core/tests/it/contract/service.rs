//! Services that write and read all the time go through the drop and the restore, as one long run, without a failed
//! call; at the end every value that they and others ever wrote is where it belongs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{SimpleConnection as _, TransactionManager as _};
use sti_core::backfill::ChunkSize;
use sti_core::both_backends;
use sti_core::contract::restore::{
    Attempts, Finish, FinishOptions, Restoration, RestoreOptions, finish, restore,
};
use sti_core::contract::{DropOptions, Outcome, Refusal};
use sti_core::db::{Access, AnyConnection, ConnectError, DatabaseUrl, connect, write_transaction};
use sti_core::models::Kind;
use sti_core::repository::{ListQuery, RepositoryError, SchoolPatch, SelfStudyPatch, TypeChange};
use sti_core::test_support::{RowSetDigest, TestDatabase};
use sti_core::verify::{VerifyOptions, verify};
use sti_core::{ProjectId, ProjectRepository, WriteMode};

use super::rig::{columns_left, try_drop, waiving};
use crate::repository::rig::{
    LEGACY, details_of, id, insert, insert_row, legacy, migrate, new_school, row, teacher, texts, values,
};

both_backends! { services_go_through_drop_and_restore }

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

/// Rounds that each service must have done before the drop begins, between drop and restore, and after each of them.
const ROUNDS: u32 = 5;

/// How long a service rests between two rounds: without any, four of them can write faster than a drop works off.
const REST: Duration = Duration::from_millis(10);

/// In one of so many rounds a service makes a project that stays.
const STAYS: u32 = 5;

/// Projects that no service touches.
const OTHERS: u32 = 60;

/// The number of the first of them.
const FIRST: u32 = 1000;

impl Service {
    /// The project whose teacher changes in each round.
    fn own(self) -> ProjectId {
        id(self.number)
    }

    /// The project that changes its type in each round.
    fn restless(self) -> ProjectId {
        id(10 + self.number)
    }

    /// Writes, reads what it wrote, lists, changes a type, makes a project that goes again and, every now and then, one
    /// that stays; gives that.
    fn round(
        self,
        connection: &mut AnyConnection,
        repository: &ProjectRepository,
        round: u32,
    ) -> Result<Option<ProjectId>, RepositoryError> {
        let name = format!("teacher {round}");
        repository.update(connection, self.own(), &teacher(&name))?;
        assert_eq!(details_of(&repository.get(connection, self.own())?), ["a", "b", &name]);
        let query = ListQuery { limit: 3, ..ListQuery::default() };
        let listed = repository.list(connection, &query)?;
        assert!(listed.iter().all(|record| details_of(record)[..2] == ["a", "b"]), "{listed:?}");
        let changed = repository.change_type(connection, self.restless(), &restless(round))?;
        assert_eq!(details_of(&changed), texts_of(round));
        assert_eq!(details_of(&repository.get(connection, self.restless())?), texts_of(round));
        let mut goes = new_school(0, "a", "b", "c");
        goes.id = ProjectId::random();
        repository.create(connection, &goes)?;
        repository.delete(connection, goes.id)?;
        if !round.is_multiple_of(STAYS) {
            return Ok(None);
        }
        let mut stays = new_school(0, "kept", "", &name);
        stays.id = after_all_others();
        repository.create(connection, &stays)?;
        Ok(Some(stays.id))
    }

    /// Works until it is told to stop; `done` counts its rounds. Gives the projects that it made, with their teachers.
    fn work(
        self,
        url: &str,
        stop: &AtomicBool,
        done: &AtomicU32,
    ) -> Result<Vec<(ProjectId, String)>, String> {
        let url = DatabaseUrl::parse(url).unwrap();
        let mut connection = patient(&url, &format!("service {}", self.number)).unwrap();
        let repository =
            ProjectRepository::open(&mut connection, self.mode).map_err(|error| error.to_string())?;
        let mut made = Vec::new();
        while !stop.load(SeqCst) {
            let number = done.load(SeqCst) + 1;
            let result = if self.in_transaction {
                write_transaction(&mut connection, |connection| self.round(connection, &repository, number))
            } else {
                self.round(&mut connection, &repository, number)
            };
            let stays = result.map_err(|error| format!("{self:?}, round {number}: {error}"))?;
            made.extend(stays.map(|id| (id, format!("teacher {number}"))));
            assert!(!is_in_transaction(&mut connection));
            done.store(number, SeqCst);
            thread::sleep(REST);
        }
        Ok(made)
    }
}

/// Behind those that a service lists.
fn after_all_others() -> ProjectId {
    loop {
        let id = ProjectId::random();
        if id.hex().as_str() > "1" {
            return id;
        }
    }
}

/// In odd rounds it is a self-study project, in even ones a school project.
fn restless(round: u32) -> TypeChange {
    if round % 2 == 1 {
        let goal_description = Some(format!("goal {round}"));
        TypeChange::SelfStudy(SelfStudyPatch { goal_description, study_frequency: Some(String::new()) })
    } else {
        let course_name = Some(format!("course {round}"));
        let [course_code, teacher_name] = [(); 2].map(|()| Some(String::new()));
        TypeChange::School(SchoolPatch { course_name, course_code, teacher_name })
    }
}

fn texts_of(round: u32) -> Vec<String> {
    if round % 2 == 1 {
        texts(&[&format!("goal {round}"), ""])
    } else {
        texts(&[&format!("course {round}"), "", ""])
    }
}

/// Four services that never rest: on SQLite, who is unlucky waits for long, with or without a drop.
fn patient(url: &DatabaseUrl, name: &str) -> Result<AnyConnection, ConnectError> {
    let mut connection = connect(url, Access::Write, name)?;
    if matches!(connection, AnyConnection::Sqlite(_)) {
        connection.batch_execute("PRAGMA busy_timeout = 100000; PRAGMA synchronous = OFF").unwrap();
    }
    Ok(connection)
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

/// Projects of each sort that no service touches: NULLs, stray values, unknown types, and rows for the others.
fn plant_others(database: &TestDatabase) {
    for number in FIRST..FIRST + OTHERS {
        match number % 4 {
            0 => {
                insert(database, number, "school", [Some("a"), None, Some(""), Some("stray"), None]);
                insert_row(database, Kind::School, number, &["a", "", ""]);
            }
            1 => {
                insert(database, number, "self_study", [None, None, None, Some("goal"), Some("daily")]);
                insert_row(database, Kind::SelfStudy, number, &["goal", "daily"]);
            }
            2 => insert(database, number, "SCHOOL", [Some("unknown"), None, Some(""), None, Some("f")]),
            _ => {
                insert(database, number, "school", [None; 5]);
                insert_row(database, Kind::School, number, &["", "", ""]);
            }
        }
    }
}

fn values_of_the_others(database: &TestDatabase) -> RowSetDigest {
    let theirs = format!(
        "(SELECT * FROM projects_project WHERE id BETWEEN '{}' AND '{}') others",
        id(FIRST).hex(),
        id(FIRST + OTHERS).hex()
    );
    database.digest(&theirs, "id", &LEGACY)
}

/// A drop that the writers outrun is refused, and tried again, as its user does.
#[track_caller]
fn dropped_beside_them(database: &TestDatabase, options: &DropOptions) {
    for _ in 0..10 {
        match try_drop(database, options).unwrap() {
            Outcome::Done(_) => return,
            Outcome::Refused { why: Refusal::Outrun { .. }, .. } => {}
            other => panic!("not dropped: {other:?}"),
        }
    }
    panic!("outrun ten times");
}

/// Brings the columns back and takes the triggers away, with the times that the command has.
#[track_caller]
fn restored_and_finished(database: &TestDatabase) {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let locks = Attempts { attempts: 200, ..Attempts::default() };
    let how =
        RestoreOptions { chunk: ChunkSize::new(7).unwrap(), locks, sample: 3, ..RestoreOptions::default() };
    let mut connector = || patient(&url, "restore");
    let restoration = restore(&mut connector, &how, &mut |_| ()).unwrap();
    assert!(matches!(restoration, Restoration::Done(_)), "{restoration:?}");
    // It waits until services had the time to notice the columns, and finds no trace of one that has not.
    let options = FinishOptions { locks, ..FinishOptions::default() };
    let finished = finish(&mut connector, &options, &mut |_| ()).unwrap();
    assert!(matches!(finished, Finish::Done { .. }), "{finished:?}");
}

fn services_go_through_drop_and_restore(database: &TestDatabase) {
    migrate(database);
    if database.backend_name() == "sqlite" {
        database.execute("PRAGMA journal_mode = WAL");
    }
    let repository = |mode| ProjectRepository::open(&mut super::rig::open(database), mode).unwrap();
    for service in SERVICES {
        for new in
            [new_school(service.number, "a", "b", "teacher 0"), new_school(10 + service.number, "a", "b", "")]
        {
            repository(WriteMode::Dual).create(&mut super::rig::open(database), &new).unwrap();
        }
    }
    plant_others(database);
    let others = values_of_the_others(database);
    let quarter = OTHERS / 4;
    let mut options: DropOptions =
        waiving(&[&format!("stray-values={quarter}"), &format!("unknown-type={quarter}")]);
    options.attempts = 200;
    let stop = AtomicBool::new(false);
    let done: Vec<AtomicU32> = SERVICES.iter().map(|_| AtomicU32::new(0)).collect();
    let made = thread::scope(|scope| {
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
        let steps: [&dyn Fn(); 2] = [
            &|| {
                dropped_beside_them(database, &options);
                assert_eq!(columns_left(database), 0);
            },
            &|| restored_and_finished(database),
        ];
        wait_for_rounds(done, ROUNDS, ended);
        for step in steps {
            // A step that fails must not leave services behind that nobody stops.
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if !ended() {
                    step();
                    wait_for_rounds(done, ROUNDS, ended);
                }
            }));
            if let Err(panic) = failed {
                stop.store(true, SeqCst);
                std::panic::resume_unwind(panic);
            }
        }
        stop.store(true, SeqCst);
        services.into_iter().map(|service| service.join().unwrap().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(values_of_the_others(database), others, "every value that nobody touched");
    let report =
        verify(&mut super::rig::open(database), VerifyOptions { sample: 3, ..VerifyOptions::default() })
            .unwrap();
    assert!(report.is_clean(), "{report:?}");
    for ((service, done), made) in SERVICES.into_iter().zip(&done).zip(made) {
        account_for(database, service, done.load(SeqCst), &made);
    }
}

/// Both sides of every project of a service say what it wrote last.
fn account_for(database: &TestDatabase, service: Service, rounds: u32, made: &[(ProjectId, String)]) {
    let teacher = format!("teacher {rounds}");
    let own = (service.own(), ["a", "b", &teacher]);
    let kept = made.iter().map(|(id, teacher)| (*id, ["kept", "", teacher]));
    assert_eq!(made.len(), usize::try_from(rounds / STAYS).unwrap());
    for (id, expected) in std::iter::once(own).chain(kept) {
        assert_eq!(row(database, Kind::School, id), Some(texts(&expected)), "{service:?}");
        let columns: Vec<String> =
            legacy(database, id)[..3].iter().map(|value| value.clone().unwrap_or_default()).collect();
        assert_eq!(columns, texts(&expected), "{service:?}");
    }
    let (kind, other) =
        if rounds % 2 == 1 { (Kind::SelfStudy, Kind::School) } else { (Kind::School, Kind::SelfStudy) };
    assert_eq!(row(database, kind, service.restless()), Some(texts_of(rounds)), "{service:?}");
    assert_eq!(row(database, other, service.restless()), None, "{service:?}");
    let gone = if kind == Kind::School { 3..5 } else { 0..3 };
    assert_eq!(legacy(database, service.restless())[gone.clone()], values(&[None; 5])[gone], "{service:?}");
}
