//! A process that is held at a chosen statement by a trigger, so that it can be killed there: on PostgreSQL the trigger
//! waits for a sequence to move, on SQLite it computes for longer than a test needs. Nothing can be hung on a statement
//! that reads. A change of the schema is held by an event trigger, on PostgreSQL only.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use sti_core::test_support::TestDatabase;

/// How long anything that must happen may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// The statement: table, event (as in `BEFORE INSERT`), condition; `at_commit` holds the COMMIT behind it instead,
/// where the database can.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) table: &'static str,
    pub(crate) event: &'static str,
    pub(crate) condition: &'static str,
    pub(crate) at_commit: bool,
}

impl Held {
    /// Runs `child` until it stands there, kills it, and takes the trigger away. `application` is the name of its
    /// sessions.
    #[track_caller]
    pub(crate) fn kill(self, database: &TestDatabase, application: &str, start: impl FnOnce() -> Child) {
        let Self { table, event, condition, .. } = self;
        if database.backend_name() == "sqlite" {
            database.execute(&format!(
                "CREATE TRIGGER hold {event} ON {table} WHEN {condition} BEGIN \
                    SELECT count(*) FROM (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c \
                        WHERE n < 4000000000) SELECT n FROM c); END"
            ));
            let mut child = start();
            wait_for_a_long_write(database);
            kill(&mut child);
            database.execute("DROP TRIGGER hold");
            return;
        }
        Gate::at(database, "hold", self).kill(application, start());
    }
}

/// What holds every session at a statement, on PostgreSQL: a trigger that waits until the gate is opened. A sequence says
/// so, which a session sees as it is, whatever snapshot it has.
pub(crate) struct Gate<'a> {
    database: &'a TestDatabase,
    name: &'static str,
}

impl<'a> Gate<'a> {
    /// Sets up the gate `name`, closed.
    pub(crate) fn at(database: &'a TestDatabase, name: &'static str, held: Held) -> Self {
        let Held { table, event, condition, at_commit } = held;
        let (constraint, deferred) =
            if at_commit { ("CONSTRAINT", "DEFERRABLE INITIALLY DEFERRED") } else { ("", "") };
        database.execute(&format!(
            "CREATE SEQUENCE closed_{name}; \
             CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                WHILE (SELECT NOT is_called FROM public.closed_{name}) LOOP PERFORM pg_sleep(0.01); END LOOP; \
                IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$; \
             CREATE {constraint} TRIGGER {name} {event} ON {table} {deferred} \
                FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name}()"
        ));
        Self { database, name }
    }

    /// Sets up the gate `name`, closed, at changes of the schema of this `tag`, as in `ALTER TABLE`, that `application`
    /// makes.
    fn at_ddl(database: &'a TestDatabase, name: &'static str, application: &str, tag: &str) -> Self {
        database.execute(&format!(
            "CREATE SEQUENCE closed_{name}; \
             CREATE FUNCTION {name}() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
                WHILE current_setting('application_name') = '{application}' \
                    AND (SELECT NOT is_called FROM public.closed_{name}) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$; \
             CREATE EVENT TRIGGER {name} ON ddl_command_start WHEN TAG IN ('{tag}') EXECUTE FUNCTION {name}()"
        ));
        Self { database, name }
    }

    /// Waits until a session of `application` stands there.
    #[track_caller]
    pub(crate) fn reached(&self, application: &str) {
        // Who has asked whether this gate is closed keeps a lock on its sequence: no other gate is meant.
        let standing = format!(
            "{} AND wait_event = 'PgSleep' AND pid IN (SELECT pid FROM pg_locks \
                 WHERE relation = 'closed_{}'::regclass)",
            sessions(application),
            self.name
        );
        wait_until("it stands at the trigger", || self.database.count(&standing) > 0);
    }

    /// Lets through who stands there, and everybody after.
    pub(crate) fn open(&self) {
        self.database.execute(&format!("SELECT nextval('closed_{}')", self.name));
    }

    /// Kills `child`, whose sessions are called `application`, when it stands there, and takes the gate away.
    #[track_caller]
    fn kill(self, application: &str, mut child: Child) {
        self.reached(application);
        kill(&mut child);
        self.open();
        wait_until_gone(self.database, application);
        self.remove();
    }

    /// Takes it away.
    pub(crate) fn remove(self) {
        let name = self.name;
        self.database.execute(&format!("DROP FUNCTION {name}() CASCADE; DROP SEQUENCE closed_{name}"));
    }
}

/// Runs `child` until it is about to do the first change of the schema of this `tag`, as in `ALTER TABLE`, and kills it.
#[track_caller]
pub(crate) fn kill_at_ddl(
    database: &TestDatabase,
    application: &str,
    tag: &str,
    start: impl FnOnce() -> Child,
) {
    Gate::at_ddl(database, "hold", application, tag).kill(application, start());
}

/// SQL: the sessions of an `application` on this database.
fn sessions(application: &str) -> String {
    format!("pg_stat_activity WHERE application_name = '{application}' AND datname = current_database()")
}

/// Waits until the server has ended the sessions of `application`, whose process is dead.
#[track_caller]
pub(crate) fn wait_until_gone(database: &TestDatabase, application: &str) {
    let sessions = sessions(application);
    wait_until("the server has ended the session", || database.count(&sessions) == 0);
}

/// A few projects are written in no time: who writes for so long is held.
fn wait_for_a_long_write(database: &TestDatabase) {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;
    let path = database.path().unwrap().to_str().unwrap();
    let mut connection = diesel::SqliteConnection::establish(path).unwrap();
    let mut since = None;
    wait_until("it stands at the trigger", || {
        if connection.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            since = None;
        } else {
            since.get_or_insert_with(Instant::now);
        }
        since.is_some_and(|since: Instant| since.elapsed() > Duration::from_millis(500))
    });
}

/// Polls until it is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        thread::yield_now();
    }
}

/// `kill -9`.
pub(crate) fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
