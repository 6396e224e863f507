//! A repair and a writer whose order is forced by locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{PgConnection, RunQueryDsl as _};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::probe::{Probe, Sabotage, Step};
use sti_core::test_support::TestDatabase;
use sti_core::verify::repair::{Direction, Execution, Repair, RepairOptions, execute};

use crate::repair::planned;

/// When the writer commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// As soon as its statements are done.
    AtOnce,
    /// When the repair waits for it, or is done.
    WhenAwaited,
}

/// One order of events.
pub(crate) struct Race<'a> {
    pub(crate) direction: Direction,
    /// The writer's transaction begins here.
    pub(crate) step: Step,
    pub(crate) commit: Commit,
    pub(crate) sabotage: Sabotage,
    pub(crate) statements: &'a [String],
}

/// What the two sides tell each other.
#[derive(Default)]
struct State {
    /// The writer has done its statements, and has committed if it does so at once; or it failed.
    writer_ready: AtomicBool,
    repair_done: AtomicBool,
    writer: Mutex<Option<JoinHandle<Result<(), String>>>>,
}

/// Runs both to their end.
pub(crate) fn race(database: &TestDatabase, race: &Race<'_>) -> Result<Repair, String> {
    let state = Arc::new(State::default());
    let mut options = RepairOptions::new(race.direction, planned(database, race.direction).digest);
    options.probe = probe(database.url(), race, Arc::clone(&state)).with_sabotage(race.sabotage);
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let repaired = execute(&mut connect(&url, Access::Write, "repair").unwrap(), &options, &mut |_| ());
    state.repair_done.store(true, SeqCst);
    let writer = lock(&state.writer).take();
    if let Some(writer) = writer {
        writer.join().unwrap().map_err(|error| format!("the writer failed: {error}"))?;
    }
    match repaired {
        Ok(Execution::Done(repair)) => Ok(repair),
        other => Err(format!("the repair failed: {other:?}")),
    }
}

/// At the step, once: starts the writer, and goes on when it has done its statements or waits for a lock.
fn probe(url: &str, race: &Race<'_>, state: Arc<State>) -> Probe {
    let (url, step, commit) = (url.to_owned(), race.step, race.commit);
    let statements = race.statements.to_vec();
    Probe::new(move |at| {
        let mut writer = lock(&state.writer);
        if at != step || writer.is_some() {
            return;
        }
        let (url_of_writer, statements, shared) = (url.clone(), statements.clone(), Arc::clone(&state));
        *writer = Some(thread::spawn(move || {
            let written = write(&url_of_writer, &statements, commit, &shared);
            shared.writer_ready.store(true, SeqCst);
            written
        }));
        drop(writer);
        let mut watch = PgConnection::establish(&url).unwrap();
        wait_until(|| state.writer_ready.load(SeqCst) || waits_for_a_lock(&mut watch, "writer"));
    })
}

fn write(url: &str, statements: &[String], commit: Commit, state: &State) -> Result<(), String> {
    let said = |error: diesel::result::Error| error.to_string();
    let mut connection = PgConnection::establish(url).map_err(|error| error.to_string())?;
    connection.batch_execute("SET application_name = 'writer'").map_err(said)?;
    connection.batch_execute("BEGIN").map_err(said)?;
    for statement in statements {
        connection.batch_execute(statement).map_err(said)?;
    }
    if commit == Commit::WhenAwaited {
        state.writer_ready.store(true, SeqCst);
        let mut watch = PgConnection::establish(url).unwrap();
        wait_until(|| state.repair_done.load(SeqCst) || waits_for_a_lock(&mut watch, "repair"));
    }
    connection.batch_execute("COMMIT").map_err(said)
}

fn waits_for_a_lock(connection: &mut PgConnection, who: &str) -> bool {
    #[derive(diesel::QueryableByName)]
    struct Waiting {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let waiting: Waiting = diesel::sql_query(
        "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = $1 AND wait_event_type = 'Lock'",
    )
    .bind::<Text, _>(who)
    .get_result(connection)
    .unwrap();
    waiting.count > 0
}

/// Waits for something that the server or another thread shows; fails after a minute.
fn wait_until(mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !seen() {
        assert!(Instant::now() < deadline, "not seen within a minute");
        thread::sleep(Duration::from_millis(2));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
