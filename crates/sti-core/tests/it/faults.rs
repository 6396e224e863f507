//! Every class of error, provoked on a real server and on a real file: classes are told apart by messages, and those
//! may change with the server's version.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use sti_core::db::{Access, DatabaseUrl, Fault, connect};
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

sti_core::both_backends! { what_a_row_can_cause, what_is_nobodys_fault_stays_unknown }

const TABLES: &str = "\
    CREATE TABLE parent (id int PRIMARY KEY); \
    CREATE TABLE t (id int PRIMARY KEY, name varchar(3) NOT NULL CHECK (name <> 'no'), parent int REFERENCES parent); \
    INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', NULL)";

/// What `sql` fails with, in a session of its own.
#[track_caller]
fn fault(database: &TestDatabase, sql: &str) -> Fault {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let mut connection = connect(&url, Access::Write, "sti test").unwrap();
    let error = connection.batch_execute(sql).expect_err(sql);
    Fault::of(&error)
}

/// What the last of `statements` fails with; those before it must succeed. One session, one statement a message.
#[track_caller]
fn last_fault(connection: &mut PgConnection, statements: &[&str]) -> (Fault, String) {
    let (last, before) = statements.split_last().unwrap();
    for sql in before {
        connection.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let error = connection.batch_execute(last).expect_err(last);
    (Fault::of(&error), error.to_string())
}

fn session(database: &TestDatabase) -> PgConnection {
    PgConnection::establish(database.url()).unwrap()
}

fn major(database: &TestDatabase) -> u32 {
    database.value("SELECT current_setting('server_version_num')::int / 10000").parse().unwrap()
}

fn what_a_row_can_cause(database: &TestDatabase) {
    database.execute(TABLES);
    for sql in [
        "INSERT INTO t VALUES (1, 'c', NULL)",
        "INSERT INTO t VALUES (3, NULL, NULL)",
        "INSERT INTO t VALUES (3, 'no', NULL)",
        "INSERT INTO t VALUES (3, 'c', 7)",
    ] {
        assert_eq!(fault(database, sql), Fault::Row, "{sql}");
    }
    if database.backend_name() == "postgres" {
        for sql in [
            "INSERT INTO t VALUES (3, 'long', NULL)",
            "SELECT 'x'::uuid",
            "SELECT 'x'::date",
            r"SELECT convert_from('\xff', 'UTF8')",
        ] {
            assert_eq!(fault(database, sql), Fault::Row, "{sql}");
        }
    }
}

fn what_is_nobodys_fault_stays_unknown(database: &TestDatabase) {
    for sql in ["SELECT * FROM nowhere", "SELEC 1"] {
        assert_eq!(fault(database, sql), Fault::Other, "{sql}");
    }
}

#[test]
fn locks_that_are_not_to_be_had() {
    let database = TestDatabase::postgres();
    database.execute(TABLES);
    let holder = Session::open(&database, "holder");
    holder.run("BEGIN; LOCK TABLE parent; SELECT 1 FROM t WHERE id = 1 FOR UPDATE");
    for sql in [
        "SET lock_timeout = '1ms'; LOCK TABLE parent IN SHARE MODE",
        "SET lock_timeout = '1ms'; UPDATE t SET name = 'x' WHERE id = 1",
        "BEGIN; LOCK TABLE parent NOWAIT",
        "SELECT 1 FROM t WHERE id = 1 FOR UPDATE NOWAIT",
    ] {
        assert_eq!(fault(&database, sql), Fault::LockTimeout, "{sql}");
    }
}

#[test]
fn a_deadlock_and_serialization_failures_pass() {
    let database = TestDatabase::postgres();
    database.execute(TABLES);
    let other = Session::open(&database, "other");
    // Whose deadlock_timeout runs out first is the victim.
    other.run("SET deadlock_timeout = '1min'; BEGIN; UPDATE t SET name = 'x' WHERE id = 1");
    let mut ours = session(&database);
    ours.batch_execute("SET deadlock_timeout = '1ms'; BEGIN; UPDATE t SET name = 'y' WHERE id = 2").unwrap();
    other.start("UPDATE t SET name = 'x' WHERE id = 2");
    wait_until_it_waits(&database, "other");
    let deadlock = last_fault(&mut ours, &["UPDATE t SET name = 'y' WHERE id = 1"]);
    assert_eq!(deadlock.0, Fault::Transient, "{}", deadlock.1);
    other.finish().unwrap();
    other.run("COMMIT");

    let mut ours = session(&database);
    ours.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t").unwrap();
    other.run("UPDATE t SET name = 'z'");
    let update = last_fault(&mut ours, &["UPDATE t SET name = 'y'"]);
    assert_eq!(update.0, Fault::Transient, "{}", update.1);

    let (mut one, mut two) = (session(&database), session(&database));
    for (connection, id) in [(&mut one, 1), (&mut two, 2)] {
        let write = format!("UPDATE t SET name = 'w' WHERE id = {id}");
        connection.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT * FROM t").unwrap();
        connection.batch_execute(&write).unwrap();
    }
    one.batch_execute("COMMIT").unwrap();
    let skew = last_fault(&mut two, &["COMMIT"]);
    assert_eq!(skew.0, Fault::Transient, "{}", skew.1);
}

/// Its SQLSTATE is that of a serialization failure.
#[test]
fn a_standby_that_must_replay_what_a_statement_stands_in_the_way_of() {
    let binaries = Binaries::from_environment().unwrap();
    let server = Server::start(&binaries, &ServerOptions::new()).unwrap();
    let standby = server.standby(&binaries, "follower").unwrap();
    let database = TestDatabase::postgres_on(&server);
    database.execute(TABLES);
    let url = standby.url(&database.value("SELECT current_database()"));
    let on_standby = |sql: &str| {
        let connect = || PgConnection::establish(&url);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !connect().is_ok_and(|mut connection| connection.batch_execute(sql).is_ok()) {
            assert!(std::time::Instant::now() < deadline, "not within a minute: {sql}");
            std::thread::yield_now();
        }
    };
    on_standby("SELECT 1 FROM t");
    on_standby("ALTER SYSTEM SET max_standby_streaming_delay = '10ms'");
    on_standby("SELECT pg_reload_conf()");
    // What was written before may stand in the reader's way already, before it sleeps.
    let over = AtomicBool::new(false);
    let (fault, message) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let sleeps = "SELECT 1 / count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
            let mut looking = PgConnection::establish(&url).unwrap();
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
            while !over.load(SeqCst) && std::time::Instant::now() < deadline {
                if looking.batch_execute(sleeps).is_ok() {
                    return database.execute("ALTER TABLE t ADD COLUMN more integer");
                }
            }
        });
        let mut reader = PgConnection::establish(&url).unwrap();
        let fault = last_fault(&mut reader, &["BEGIN; SELECT 1 FROM t; SELECT pg_sleep(60)"]);
        over.store(true, SeqCst);
        fault
    });
    assert_eq!(fault, Fault::StandbyConflict, "{message}");
}

#[test]
fn statements_that_are_ended_from_outside() {
    let database = TestDatabase::postgres();
    let of = |statements: &[&str]| last_fault(&mut session(&database), statements).0;
    assert_eq!(of(&["SET statement_timeout = '1ms'", "SELECT pg_sleep(60)"]), Fault::StatementTimeout);
    assert_eq!(of(&["SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"]), Fault::Cancelled);
    assert_eq!(of(&["SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)"]), Fault::ConnectionLost);
    // Version 17 brought it; before, there is nothing to run into.
    let whole = ["BEGIN", "SET LOCAL transaction_timeout = '1ms'", "SELECT pg_sleep(60)"];
    if major(&database) < 17 {
        assert_eq!(of(&whole[..2]), Fault::Other);
    } else {
        assert_eq!(of(&whole), Fault::ConnectionLost);
    }
}

#[test]
fn a_session_that_was_ended_while_it_did_nothing() {
    let database = TestDatabase::postgres();
    let mut idle = session(&database);
    idle.batch_execute("SET application_name = 'idle'; SET idle_in_transaction_session_timeout = '1ms'")
        .unwrap();
    idle.batch_execute("BEGIN").unwrap();
    while database.count("pg_stat_activity WHERE application_name = 'idle'") > 0 {
        std::thread::yield_now();
    }
    let (found, text) = last_fault(&mut idle, &["SELECT 1"]);
    assert_eq!(found, Fault::ConnectionLost, "{text}");
    let (again, text) = last_fault(&mut idle, &["SELECT 1"]);
    assert_eq!(again, Fault::ConnectionLost, "{text}");
}

#[test]
fn what_a_role_may_not_do() {
    let database = TestDatabase::postgres();
    database.execute(TABLES);
    let mut connection = PgConnection::establish(&database.application_role()).unwrap();
    for sql in ["SELECT * FROM t", "CREATE TABLE mine ()", "DROP TABLE t", "ALTER TABLE t DROP COLUMN name"] {
        let (found, text) = last_fault(&mut connection, &[sql]);
        assert_eq!(found, Fault::PermissionDenied, "{sql}: {text}");
    }
}

#[test]
fn a_server_that_takes_no_writes_and_one_that_is_gone() {
    let server = Server::start(&Binaries::from_environment().unwrap(), &ServerOptions::new()).unwrap();
    let database = TestDatabase::postgres_on(&server);
    database.execute(TABLES);
    assert_eq!(fault(&database, "BEGIN READ ONLY; UPDATE t SET name = 'x'"), Fault::ReadOnly);

    // The test server commits without waiting for the disk.
    database.execute("CHECKPOINT");
    let mut before = session(&database);
    server.stop_immediate().unwrap();
    let (found, text) = last_fault(&mut before, &["SELECT 1"]);
    assert_eq!(found, Fault::ConnectionLost, "{text}");

    // A standby that finds no primary replays what there is and answers queries.
    fs::write(server.folder().join("data/standby.signal"), "").unwrap();
    server.start_again().unwrap();
    assert_eq!(database.value("SELECT pg_is_in_recovery()"), "true");
    for sql in
        ["UPDATE t SET name = 'x'", "CREATE TABLE mine ()", "BEGIN READ WRITE", "SELECT 1 FROM t FOR UPDATE"]
    {
        assert_eq!(fault(&database, sql), Fault::ReadOnly, "{sql}");
    }
    // The database cannot be dropped on a standby.
    fs::remove_file(server.folder().join("data/standby.signal")).unwrap();
    server.stop_immediate().unwrap();
    server.start_again().unwrap();
}

#[test]
fn a_file_that_is_locked_full_or_only_to_be_read() {
    let database = TestDatabase::sqlite();
    database.execute(TABLES);
    let path = database.path().unwrap().to_str().unwrap();
    let open = |path: &str| SqliteConnection::establish(path).unwrap();
    let (mut one, mut two) = (open(path), open(path));
    let of = |connection: &mut SqliteConnection, sql: &str| {
        Fault::of(&connection.batch_execute(sql).expect_err(sql))
    };

    one.batch_execute("BEGIN IMMEDIATE").unwrap();
    assert_eq!(of(&mut two, "BEGIN IMMEDIATE"), Fault::LockTimeout);
    one.batch_execute("ROLLBACK").unwrap();

    // A snapshot that has been overtaken cannot be written from.
    one.batch_execute("PRAGMA journal_mode = wal").unwrap();
    two.batch_execute("BEGIN; SELECT * FROM t").unwrap();
    one.batch_execute("UPDATE t SET name = 'x'").unwrap();
    assert_eq!(of(&mut two, "UPDATE t SET name = 'y'"), Fault::LockTimeout);
    two.batch_execute("ROLLBACK").unwrap();

    two.batch_execute("PRAGMA max_page_count = 1").unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                INSERT INTO t SELECT i, 'c', NULL FROM n";
    assert_eq!(of(&mut two, many), Fault::DiskFull);

    let url = DatabaseUrl::parse(database.url()).unwrap();
    let mut reader = connect(&url, Access::Read, "sti test").unwrap();
    let error = reader.batch_execute("DELETE FROM t").unwrap_err();
    assert_eq!(Fault::of(&error), Fault::ReadOnly);
}
