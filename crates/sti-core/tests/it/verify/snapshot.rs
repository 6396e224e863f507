//! The whole pass is one moment's truth, wherever it is read.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use sti_core::both_backends;
use sti_core::db::{Access, DatabaseUrl, connect, read_snapshot, write_transaction};
use sti_core::models::Kind::School;
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};
use sti_core::verify::{Lines, Step, Unfinished, VerifyError, VerifyOptions, VerifyReport, verify};

use super::rig::{SCHOOL, SCHOOL_ROW, id, migrate, open, orphan, project, row};

both_backends! { what_is_committed_meanwhile_is_not_seen, inside_a_transaction_of_the_callers }

fn what_is_committed_meanwhile_is_not_seen(database: &TestDatabase) {
    migrate(database);
    // So that a writer need not wait for the reader.
    database.execute(database.either("SELECT 1", "PRAGMA journal_mode = WAL"));
    project(database, 1, "school", SCHOOL);
    row(database, 1, School, &["Chemistry", "P1", "Curie"]);
    project(database, 2, "school", SCHOOL);
    row(database, 2, School, &SCHOOL_ROW);
    orphan(database, 3, School, &SCHOOL_ROW);
    let (one, two) = (id(1).hex(), id(2).hex());
    let steps = AtomicU32::new(0);
    let write_before_each_later_step = |step| {
        let number = 10 + steps.fetch_add(1, Ordering::SeqCst);
        if step == Step::Comparing {
            return;
        }
        project(database, number, "school", SCHOOL);
        database.execute(&format!(
            "UPDATE projects_schoolproject SET course_name = 'Physics' WHERE project_id = '{one}'; \
             DELETE FROM projects_schoolproject WHERE project_id <> '{one}'; \
             DELETE FROM projects_project WHERE id = '{two}'"
        ));
    };
    let mut ids = Lines(Vec::new());
    let options = VerifyOptions {
        sample: 3,
        ids: Some(&mut ids),
        progress: Some(&write_before_each_later_step),
        ..VerifyOptions::default()
    };
    let report = verify(&mut open(database, Access::Read), options).unwrap();
    assert!(steps.into_inner() > 4, "they were all told");
    assert_eq!((report.counts.projects.total(), report.counts.subtype_rows.school), (2, 3));
    assert_eq!((report.in_sync.total(), report.affected), (1, 2));
    assert_eq!(report.samples[0].projects[0].id, id(3));
    assert_eq!(
        String::from_utf8(ids.0).unwrap(),
        format!("drift\t{}\tcourse_name\norphan_school\t{}\t\n", id(1), id(3))
    );
}

fn inside_a_transaction_of_the_callers(database: &TestDatabase) {
    migrate(database);
    let mut connection = open(database, Access::Write);
    let verified = read_snapshot(&mut connection, |connection| verify(connection, VerifyOptions::default()));
    assert!(verified.unwrap().is_clean(), "a snapshot will do");
    let verified =
        write_transaction(&mut connection, |connection| verify(connection, VerifyOptions::default()));
    if database.path().is_some() {
        assert!(verified.unwrap().is_clean(), "SQLite knows no other");
    } else {
        insta::assert_snapshot!(verified.unwrap_err(), @"a verification reads one moment: the transaction that is open is READ COMMITTED; begin it as REPEATABLE READ, or call it outside of one");
    }
}

fn execute(url: &str, sql: &str) {
    PgConnection::establish(url).unwrap().batch_execute(sql).unwrap();
}

fn verify_at(url: &str, progress: &(dyn Fn(Step) + Sync)) -> Result<VerifyReport, VerifyError> {
    let mut connection = connect(&DatabaseUrl::parse(url).unwrap(), Access::Read, "test").unwrap();
    let options = VerifyOptions { sample: 3, progress: Some(progress), ..VerifyOptions::default() };
    verify(&mut connection, options)
}

#[test]
fn a_standby_will_do() {
    let binaries = Binaries::from_environment().unwrap();
    let server = Server::start(&binaries, &ServerOptions::new()).unwrap();
    let standby = server.standby(&binaries, "follower").unwrap();
    let database = TestDatabase::postgres_on(&server);
    migrate(&database);
    project(&database, 1, "school", SCHOOL);
    project(&database, 2, "school", SCHOOL);
    row(&database, 2, School, &["Chemistry", "P1", "Curie"]);
    let name = database.value("SELECT current_database()");
    let url = standby.url(&name);
    let caught_up = format!(
        "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '{}') >= 0",
        database.value("SELECT pg_current_wal_insert_lsn()")
    );
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while plain(&standby.url("postgres"), &caught_up) != "true" {
        assert!(std::time::Instant::now() < deadline, "the standby does not catch up");
        std::thread::yield_now();
    }

    let here = super::rig::verified(&database);
    let mut there = verify_at(&url, &|_| ()).unwrap();
    let of_standby = there.standby.take().expect("it says where it has read");
    assert!(of_standby.replayed.is_some());
    assert_eq!((there, here.standby), (here, None));

    // A change of the table's definition waits for the reader at most this long.
    execute(&standby.url("postgres"), "ALTER SYSTEM SET max_standby_streaming_delay = '10ms'");
    execute(&standby.url("postgres"), "SELECT pg_reload_conf()");
    let change = |step| {
        if step == Step::Counting && database.count("pg_attribute WHERE attname = 'in_the_way'") == 0 {
            database.execute("ALTER TABLE projects_project ADD COLUMN in_the_way integer");
            let replayed = "SELECT count(*) FROM pg_attribute WHERE attname = 'in_the_way'";
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
            while plain(&url, replayed) != "1" {
                assert!(std::time::Instant::now() < deadline, "the reader is not in the way");
                std::thread::yield_now();
            }
        }
    };
    let error = verify_at(&url, &change).unwrap_err();
    assert!(matches!(error, VerifyError::Unfinished { why: Unfinished::StandbyConflict, .. }), "{error}");
    assert_eq!(verify_at(&url, &|_| ()).unwrap().affected, 2, "another time it may well finish");
}

/// The value of a query as text.
fn plain(url: &str, sql: &str) -> String {
    use diesel::RunQueryDsl as _;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    let mut connection = PgConnection::establish(url).unwrap();
    let row: Row =
        diesel::sql_query(format!("SELECT ({sql})::text AS value")).get_result(&mut connection).unwrap();
    row.value
}
