//! A session of the application on PostgreSQL that can be left waiting for a lock.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

use super::database::TestDatabase;

/// How long anything that must happen may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// One PostgreSQL session on a thread of its own. Statements are started and waited for apart, so that a test can
/// look at the moment in which one of them waits for a lock.
#[derive(Debug)]
pub struct Session {
    name: String,
    statements: Sender<String>,
    answers: Receiver<Result<(), String>>,
    /// An answer that has been seen and not been asked for yet.
    answered: Mutex<Option<Result<(), String>>>,
}

impl Session {
    /// Opens a session; `name` is its `application_name` and must be unique in the database.
    #[must_use]
    #[track_caller]
    pub fn open(database: &TestDatabase, name: &str) -> Self {
        let (statements, to_run) = channel::<String>();
        let (answer, answers) = channel();
        let url = database.url().to_owned();
        let set_name = format!("SET application_name = '{name}'");
        thread::spawn(move || {
            let mut connection = PgConnection::establish(&url).unwrap_or_else(|e| panic!("no session: {e}"));
            connection.batch_execute(&set_name).unwrap_or_else(|e| panic!("no session: {e}"));
            while let Ok(sql) = to_run.recv() {
                let answered = answer.send(connection.batch_execute(&sql).map_err(|e| e.to_string()));
                if answered.is_err() {
                    break;
                }
            }
        });
        Self { name: name.to_owned(), statements, answers, answered: Mutex::default() }
    }

    /// Starts statements and does not wait for them.
    #[track_caller]
    pub fn start(&self, sql: &str) {
        self.statements.send(sql.to_owned()).unwrap_or_else(|_| panic!("session {} has ended", self.name));
    }

    /// Waits for the statements that were started last.
    ///
    /// # Errors
    /// What the database said.
    #[track_caller]
    pub fn finish(&self) -> Result<(), String> {
        if let Some(answer) = self.answered.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return answer;
        }
        self.answers
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|_| panic!("session {} still waits after {DEADLINE:?}", self.name))
    }

    /// Starts statements and waits for them; they must succeed.
    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.start(sql);
        self.finish().unwrap_or_else(|error| panic!("session {}: {error}\nin: {sql}", self.name));
    }

    /// Waits until the started statements wait for a lock (true) or have been executed (false).
    #[must_use]
    #[track_caller]
    pub fn comes_to_wait(&self, database: &TestDatabase) -> bool {
        let answered = || {
            let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
            if answered.is_none() {
                *answered = self.answers.try_recv().ok();
            }
            answered.is_some()
        };
        comes_to_wait(database, &self.name, answered)
    }
}

/// Waits until a session of this `application_name` waits for a lock, however busy or idle it is before.
#[track_caller]
pub fn wait_until_it_waits(database: &TestDatabase, application_name: &str) {
    let begun = Instant::now();
    let waiting = format!(
        "pg_stat_activity WHERE application_name = '{application_name}' AND datname = current_database() \
         AND wait_event_type = 'Lock'"
    );
    while database.count(&waiting) == 0 {
        assert!(begun.elapsed() < DEADLINE, "{application_name} does not wait for a lock after {DEADLINE:?}");
        thread::yield_now();
    }
}

/// Waits until a session of this `application_name` waits for a lock (true), or `finished` says that it never will
/// (false).
#[must_use]
#[track_caller]
pub fn comes_to_wait(
    database: &TestDatabase,
    application_name: &str,
    mut finished: impl FnMut() -> bool,
) -> bool {
    let begun = Instant::now();
    let waiting = format!(
        "pg_stat_activity WHERE application_name = '{application_name}' AND datname = current_database() \
         AND wait_event_type = 'Lock'"
    );
    loop {
        if finished() {
            return false;
        }
        if database.count(&waiting) > 0 {
            return true;
        }
        assert!(begun.elapsed() < DEADLINE, "{application_name} neither waits nor ends within {DEADLINE:?}");
        thread::yield_now();
    }
}
