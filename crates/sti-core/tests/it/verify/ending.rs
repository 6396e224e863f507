//! A verification that is ended before it has its answer claims nothing, and says why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use sti_core::backfill::StopSignal;
use sti_core::both_backends;
use sti_core::db::{Access, AnyConnection, ConnectError, DatabaseUrl, connect};
use sti_core::models::Kind::School;
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};
use sti_core::verify::{
    FindingSink, Interrupt, Lines, Step, Unfinished, VerifyError, VerifyOptions, VerifyReport, verify,
};

use super::rig::{SCHOOL, SCHOOL_ROW, migrate, open, project, row};

both_backends! {
    the_time_limit_ends_it, the_time_limit_is_one_for_all_statements, the_signal_ends_it, the_signal_ends_the_handing_over_of_ids,
    a_limit_and_a_signal_that_are_not_needed_change_nothing,
}

fn some_projects(database: &TestDatabase) {
    migrate(database);
    for number in 0..300 {
        project(database, number, "school", SCHOOL);
    }
    row(database, 0, School, &SCHOOL_ROW);
}

/// Why it ended, and what it was doing.
#[track_caller]
fn unfinished(result: Result<VerifyReport, VerifyError>) -> (Unfinished, Option<String>) {
    match result {
        Err(VerifyError::Unfinished { why, doing }) => (why, doing),
        other => panic!("it has an answer: {other:?}"),
    }
}

fn the_time_limit_ends_it(database: &TestDatabase) {
    some_projects(database);
    let limit = Duration::from_millis(500);
    let late = |step| {
        if step == Step::Comparing {
            std::thread::sleep(limit * 2);
        }
    };
    let options = VerifyOptions { limit: Some(limit), progress: Some(&late), ..VerifyOptions::default() };
    let (why, doing) = unfinished(verify(&mut open(database, Access::Read), options));
    assert_eq!(why, Unfinished::TimeLimit(limit));
    // PostgreSQL has had half a second for this small table, and is stopped before the next statement.
    let expected = database.either("", "comparing both sides of every project");
    assert_eq!(doing.unwrap_or_default(), expected);
}

type Connect = Arc<dyn Fn() -> Result<AnyConnection, ConnectError> + Send + Sync>;

fn another(database: &TestDatabase) -> Connect {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    Arc::new(move || connect(&url, Access::Read, "another"))
}

fn never(why: &'static str) -> Connect {
    Arc::new(move || panic!("{why}"))
}

fn the_time_limit_is_one_for_all_statements(database: &TestDatabase) {
    some_projects(database);
    let limit = Duration::from_secs(1);
    let samplings = AtomicU32::new(0);
    // Each class is a statement of its own, and a short one here.
    let late = |step| {
        if step == Step::Sampling && samplings.fetch_add(1, Ordering::SeqCst) == 2 {
            std::thread::sleep(limit);
        }
    };
    let options =
        VerifyOptions { sample: 1, limit: Some(limit), progress: Some(&late), ..VerifyOptions::default() };
    let (why, _) = unfinished(verify(&mut open(database, Access::Read), options));
    assert_eq!(why, Unfinished::TimeLimit(limit));
    assert!(samplings.into_inner() <= 3, "nothing begins when the time is over");
}

fn the_signal_ends_it(database: &TestDatabase) {
    some_projects(database);
    let signal = StopSignal::default();
    let ask = |_| signal.stop();
    let options = VerifyOptions {
        interrupt: Some(Interrupt { signal: signal.clone(), connect: another(database) }),
        progress: Some(&ask),
        ..VerifyOptions::default()
    };
    let (why, _) = unfinished(verify(&mut open(database, Access::Read), options));
    assert_eq!(why, Unfinished::Asked);
}

fn the_signal_ends_the_handing_over_of_ids(database: &TestDatabase) {
    struct Ask(StopSignal, u32);
    impl FindingSink for Ask {
        fn finding(&mut self, _: sti_core::verify::Finding) -> std::io::Result<()> {
            self.1 += 1;
            if self.1 == 500 {
                self.0.stop();
            }
            Ok(())
        }
    }
    migrate(database);
    let projects: String = (0..2500).map(|n| super::rig::project_sql(n, "school", false, SCHOOL)).collect();
    database.execute(&format!("BEGIN; {projects} COMMIT"));
    let signal = StopSignal::default();
    let mut sink = Ask(signal.clone(), 0);
    let connect =
        if database.path().is_some() { never("nobody but PostgreSQL needs it") } else { another(database) };
    let options = VerifyOptions {
        ids: Some(&mut sink),
        interrupt: Some(Interrupt { signal, connect }),
        ..VerifyOptions::default()
    };
    let (why, doing) = unfinished(verify(&mut open(database, Access::Read), options));
    assert_eq!((why, doing.as_deref()), (Unfinished::Asked, Some("reading the ids of the findings")));
    assert!((500..=1000).contains(&sink.1), "{} were handed over", sink.1);
}

fn a_limit_and_a_signal_that_are_not_needed_change_nothing(database: &TestDatabase) {
    some_projects(database);
    let mut plain = Lines(Vec::new());
    let mut connection = open(database, Access::Read);
    let options = VerifyOptions { sample: 2, ids: Some(&mut plain), ..VerifyOptions::default() };
    let expected = verify(&mut connection, options).unwrap();
    let mut watched = Lines(Vec::new());
    let connect = never("there is nothing to cancel");
    let options = VerifyOptions {
        sample: 2,
        ids: Some(&mut watched),
        limit: Some(Duration::from_secs(3600)),
        interrupt: Some(Interrupt { signal: StopSignal::default(), connect }),
        ..VerifyOptions::default()
    };
    assert_eq!(verify(&mut connection, options).unwrap(), expected);
    assert_eq!((watched.0.is_empty(), watched.0), (false, plain.0));
}

/// A reader that comes to wait for a lock, as one of a very large table that reads for hours.
struct Waiting<'d> {
    database: &'d TestDatabase,
    _holder: Session,
    name: &'static str,
}

impl<'d> Waiting<'d> {
    fn on(database: &'d TestDatabase, name: &'static str) -> Self {
        some_projects(database);
        let holder = Session::open(database, "holder");
        holder.run("BEGIN; LOCK TABLE projects_selfstudyproject IN ACCESS EXCLUSIVE MODE");
        Self { database, _holder: holder, name }
    }

    fn open(&self) -> AnyConnection {
        connect(&DatabaseUrl::parse(self.database.url()).unwrap(), Access::Read, self.name).unwrap()
    }

    /// Verifies, and does `meanwhile` while its statement waits.
    fn verify(
        &self,
        options: VerifyOptions<'_>,
        meanwhile: impl FnOnce() + Send,
    ) -> (Unfinished, Option<String>) {
        self.ended(std::thread::scope(|scope| {
            scope.spawn(|| {
                wait_until_it_waits(self.database, self.name);
                meanwhile();
            });
            verify(&mut self.open(), options)
        }))
    }

    /// How it ended; nothing may go on on the server.
    fn ended(&self, result: Result<VerifyReport, VerifyError>) -> (Unfinished, Option<String>) {
        let left = format!("pg_stat_activity WHERE application_name = '{}' AND state = 'active'", self.name);
        assert_eq!(self.database.count(&left), 0, "nothing goes on on the server");
        unfinished(result)
    }
}

const COMPARING: Option<&str> = Some("comparing both sides of every project");

#[test]
fn the_server_ends_the_statement_when_the_time_is_over() {
    let database = TestDatabase::postgres();
    let waiting = Waiting::on(&database, "limited");
    let limit = Duration::from_secs(1);
    let options = VerifyOptions { limit: Some(limit), ..VerifyOptions::default() };
    let (why, doing) = waiting.ended(verify(&mut waiting.open(), options));
    assert_eq!((why, doing.as_deref()), (Unfinished::TimeLimit(limit), COMPARING));
}

#[test]
fn the_signal_cancels_the_statement_on_the_server() {
    let database = TestDatabase::postgres();
    let waiting = Waiting::on(&database, "interrupted");
    let signal = StopSignal::default();
    let interrupt = Some(Interrupt { signal: signal.clone(), connect: another(&database) });
    let options = VerifyOptions { interrupt, ..VerifyOptions::default() };
    let (why, doing) = waiting.verify(options, || signal.stop());
    assert_eq!((why, doing.as_deref()), (Unfinished::Asked, COMPARING));
}

#[test]
fn somebody_elses_cancellation_is_told_as_that() {
    let database = TestDatabase::postgres();
    let waiting = Waiting::on(&database, "cancelled");
    let (why, doing) = waiting.verify(VerifyOptions::default(), || {
        let cancelled =
            "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name = 'cancelled'";
        assert_eq!(database.value(cancelled), "1");
    });
    assert_eq!((why, doing.as_deref()), (Unfinished::Cancelled, COMPARING));
}

/// The role's own limit is a setting, which the same call meets again: an error with the way out. A limit that is
/// given stands in its place, also where it is the longer one.
#[test]
fn the_roles_own_limit_is_told_from_ours() {
    let database = TestDatabase::postgres();
    let waiting = Waiting::on(&database, "limited_role");
    let mut connection = waiting.open();
    connection.batch_execute("SET statement_timeout = '1s'").unwrap();
    let error = verify(&mut connection, VerifyOptions::default()).unwrap_err();
    insta::assert_snapshot!(error, @"comparing both sides of every project took longer than the statement_timeout that this server has for this role: give it a time of its own (sti-verify --max-seconds N)");
    let limit = Duration::from_millis(1500);
    let begun = std::time::Instant::now();
    let options = VerifyOptions { limit: Some(limit), ..VerifyOptions::default() };
    let (why, _) = unfinished(verify(&mut connection, options));
    assert_eq!(why, Unfinished::TimeLimit(limit));
    assert!(begun.elapsed() >= limit);
}

#[test]
fn the_words() {
    let said = |why, doing: Option<&str>| {
        VerifyError::Unfinished { why, doing: doing.map(str::to_owned) }.to_string()
    };
    let limit = Unfinished::TimeLimit(Duration::from_secs(5));
    insta::assert_snapshot!(said(limit, COMPARING), @"not finished: the time limit of 5 s ran out while comparing both sides of every project; nothing is known, neither that both sides agree nor that they do not. Give it more time");
    insta::assert_snapshot!(said(Unfinished::Asked, None), @"not finished: it was asked to stop; nothing is known, neither that both sides agree nor that they do not. Run it again");
    insta::assert_snapshot!(said(Unfinished::StandbyConflict, COMPARING), @"not finished: this standby had to replay a change that the snapshot stood in the way of while comparing both sides of every project; nothing is known, neither that both sides agree nor that they do not. Run it again, or on the primary; on the standby hot_standby_feedback = on keeps such conflicts away, and a greater max_standby_streaming_delay gives a statement more time");
}
