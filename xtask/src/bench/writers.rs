//! Services that write without pause, and how long each of their calls takes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect, write_transaction};
use sti_core::models::ProjectId;
use sti_core::repository::{
    DetailsPatch, NewDetails, NewProject, ProjectPatch, RepositoryError, SchoolDetails, SchoolPatch,
};
use sti_core::{ProjectRepository, WriteMode};

use crate::failure::Failure;

/// How long a transaction stays open in which a writer does nothing.
const OPEN: Duration = Duration::from_millis(50);

/// How long the writers are watched before the drop.
const BEFORE: Duration = Duration::from_secs(1);

/// The most errors that are told.
const ERRORS: usize = 5;

/// How much there is, and who writes to it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Load {
    /// How many projects; the smaller sample has a tenth of it.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub(super) projects: u64,
    /// How many writers.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) writers: u32,
}

impl Load {
    /// The smaller sample and the larger one, in projects.
    pub(super) const fn samples(self) -> [u64; 2] {
        [self.projects / 10, self.projects]
    }
}

/// What the writers saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) longest: Duration,
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) errors: Vec<String>,
}

impl Seen {
    pub(super) fn longest_ms(&self) -> f64 {
        self.longest.as_secs_f64() * 1000.0
    }
}

/// Threads that write.
pub(super) struct Writers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Rounds of all writers.
    rounds: AtomicU64,
    seen: Mutex<Seen>,
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls, and keeps how long it took.
    fn timed<T>(&self, call: impl FnOnce() -> Result<T, RepositoryError>) -> Option<T> {
        let began = Instant::now();
        let answer = call();
        let took = began.elapsed();
        let mut seen = self.seen();
        seen.calls += 1;
        seen.longest = seen.longest.max(took);
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                seen.failed += 1;
                if seen.errors.len() < ERRORS {
                    seen.errors.push(error.to_string());
                }
                None
            }
        }
    }
}

impl Writers {
    /// Starts them, each with a project of its own; comes back when all of them write.
    pub(super) fn start(url: &str, writers: u32) -> Result<Self, Failure> {
        let url = DatabaseUrl::parse(url).map_err(|error| Failure::new(error.to_string()))?;
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for number in 0..writers {
            let mut connection = connect(&url, Access::Write, &format!("writer {number}"))
                .map_err(|error| Failure::new(error.to_string()))?;
            let repository = ProjectRepository::open(&mut connection, WriteMode::Dual)
                .map_err(|error| Failure::new(error.to_string()))?;
            let own = make(&repository, &mut connection, number)?;
            let shared = Arc::clone(&shared);
            let in_transaction = number % 2 == 1;
            threads.push(thread::spawn(move || {
                let mut writer = Writer { connection, repository, own, shared };
                writer.work(in_transaction);
            }));
        }
        Ok(Self { shared, threads })
    }

    /// What they see without a drop; forgotten afterwards.
    pub(super) fn before(&self) -> Result<Seen, Failure> {
        thread::sleep(BEFORE);
        let seen = std::mem::take(&mut *self.shared.seen());
        if self.threads.iter().any(JoinHandle::is_finished) || seen.calls == 0 {
            return Err(Failure::new(format!("the writers do not write: {:?}", seen.errors)));
        }
        Ok(seen)
    }

    /// Stops them, once each has written behind the drop; what they saw since it began.
    pub(super) fn stop(self) -> Result<Seen, Failure> {
        thread::sleep(BEFORE / 2);
        self.shared.stop.store(true, Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| Failure::new("a writer has panicked"))?;
        }
        let seen = self.shared.seen().clone();
        Ok(seen)
    }
}

fn make(
    repository: &ProjectRepository,
    connection: &mut AnyConnection,
    number: u32,
) -> Result<ProjectId, Failure> {
    let details =
        SchoolDetails { course_name: "a".into(), course_code: "b".into(), teacher_name: "c".into() };
    let owner = sti_core::db::sql_types::Integer(1);
    let new = NewProject::draft(format!("writer {number}"), owner, NewDetails::School(details));
    repository.create(connection, &new).map_err(|error| Failure::new(error.to_string()))?;
    Ok(new.id)
}

struct Writer {
    connection: AnyConnection,
    repository: ProjectRepository,
    own: ProjectId,
    shared: Arc<Shared>,
}

impl Writer {
    fn work(&mut self, in_transaction: bool) {
        while !self.shared.stop.load(Relaxed) {
            let number = self.shared.rounds.fetch_add(1, Relaxed);
            let Self { connection, repository, own, shared } = self;
            if in_transaction {
                let whole = write_transaction(connection, |connection| {
                    shared.timed(|| repository.update(connection, *own, &teacher(number)));
                    thread::sleep(OPEN);
                    shared.timed(|| repository.get(connection, *own));
                    Ok::<_, diesel::result::Error>(())
                });
                shared.timed(|| {
                    whole.map_err(|error| RepositoryError::from(sti_core::db::DbError::from(error)))
                });
            } else {
                shared.timed(|| repository.update(connection, *own, &teacher(number)));
                shared.timed(|| repository.get(connection, *own));
            }
        }
    }
}

fn teacher(number: u64) -> ProjectPatch {
    let patch = SchoolPatch { teacher_name: Some(format!("teacher {number}")), ..SchoolPatch::default() };
    ProjectPatch { details: Some(DetailsPatch::School(patch)), ..ProjectPatch::default() }
}
