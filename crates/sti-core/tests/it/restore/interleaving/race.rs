//! A refill and a writer whose order is forced by locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use sti_core::contract::restore::{Restoration, RestoreEvent, RestoreOptions, restore};
use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect};
use sti_core::probe::{Probe, Sabotage, Step};
use sti_core::test_support::{TestDatabase, comes_to_wait};

use crate::repository::rig::{begin, commit};
use crate::restore::rig::chunks_of;

/// When the writer commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// As soon as its work is done.
    AtOnce,
    /// When the refill waits for it, or is done.
    WhenAwaited,
}

/// What is taken out, so that a race ends wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakenOut {
    Nothing,
    /// Something of the refill.
    Engine(Sabotage),
    /// The statement of the trigger that locks the parent.
    TriggersLock,
}

/// One order of events.
pub(crate) struct Race {
    /// The writer's transaction begins here.
    pub(crate) step: Step,
    pub(crate) commit: Commit,
    pub(crate) taken_out: TakenOut,
    pub(crate) work: fn(&mut AnyConnection),
}

/// What the two sides tell each other.
#[derive(Default)]
struct State {
    /// The writer has done its work, and has committed if it does so at once; or it failed.
    writer_ready: AtomicBool,
    refill_done: AtomicBool,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Runs both to their end.
pub(crate) fn race(database: &Arc<TestDatabase>, race: &Race) -> Result<Restoration, String> {
    let state = Arc::new(State::default());
    let sabotage = if let TakenOut::Engine(sabotage) = race.taken_out { sabotage } else { Sabotage::None };
    let probe = probe(database, race, &state).with_sabotage(sabotage);
    let options = RestoreOptions { probe, ..chunks_of(10) };
    let restored = restore(&mut || Ok(open(database, "refill")), &options, &mut |event| {
        if race.taken_out == TakenOut::TriggersLock && matches!(event, RestoreEvent::Began(_)) {
            take_out_the_triggers_lock(database);
        }
    });
    state.refill_done.store(true, SeqCst);
    let writer = lock(&state.writer).take();
    if let Some(writer) = writer {
        writer.join().map_err(|_| "the writer failed".to_owned())?;
    }
    restored.map_err(|error| format!("the restore failed: {error}"))
}

fn open(database: &TestDatabase, name: &str) -> AnyConnection {
    connect(&DatabaseUrl::parse(database.url()).unwrap(), Access::Write, name).unwrap()
}

/// At the step, once: starts the writer, and goes on when it has done its work or waits for a lock.
fn probe(database: &Arc<TestDatabase>, race: &Race, state: &Arc<State>) -> Probe {
    let (database, state) = (Arc::clone(database), Arc::clone(state));
    let (step, commit, work) = (race.step, race.commit, race.work);
    Probe::new(move |at| {
        let mut writer = lock(&state.writer);
        if at != step || writer.is_some() {
            return;
        }
        let (of_writer, shared) = (Arc::clone(&database), Arc::clone(&state));
        *writer = Some(thread::spawn(move || {
            let ready = Ready(&shared);
            write(&of_writer, commit, work, &shared);
            drop(ready);
        }));
        drop(writer);
        let _ = comes_to_wait(&database, "writer", || state.writer_ready.load(SeqCst));
    })
}

/// Says that the writer is ready also when it has failed.
struct Ready<'a>(&'a State);

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.0.writer_ready.store(true, SeqCst);
    }
}

fn write(database: &TestDatabase, when: Commit, work: fn(&mut AnyConnection), state: &State) {
    let mut connection = open(database, "writer");
    begin(&mut connection);
    work(&mut connection);
    if when == Commit::WhenAwaited {
        state.writer_ready.store(true, SeqCst);
        let _ = comes_to_wait(database, "refill", || state.refill_done.load(SeqCst));
    }
    commit(&mut connection).unwrap();
}

fn take_out_the_triggers_lock(database: &TestDatabase) {
    for definition in database.column(
        "pg_get_functiondef(oid)",
        "FROM pg_proc WHERE proname LIKE 'sti_restore%' AND pg_get_functiondef(oid) LIKE '%PERFORM%'",
    ) {
        let definition = definition.unwrap();
        let without: Vec<&str> = definition.lines().filter(|line| !line.contains("PERFORM")).collect();
        database.execute(&without.join("\n"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
