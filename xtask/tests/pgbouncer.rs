//! The tools and the library through a pgbouncer in transaction mode, which gives each transaction another session of
//! the server: what a session keeps (a prepared statement, a setting) is somebody else's in the next transaction.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, sql_query};
use serde_json::Value;
use sti_core::db::{Access, DatabaseUrl, connect, sql_types};
use sti_core::repository::{NewDetails, NewProject, ProjectPatch};
use sti_core::test_support::postgres::PgBouncer;
use sti_core::test_support::{TestDatabase, binary, check_ledger, report};
use sti_core::{ProjectRepository, WriteMode};

/// Sessions of the server: fewer than there are clients.
const SESSIONS: usize = 3;

/// The folder of the binaries, built by this test so that they are those of this tree.
fn binaries() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--workspace", "--bins"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "the binaries do not build");
    folder
}

/// The commands on one database, by one way to it.
struct Tools {
    folder: PathBuf,
    url: String,
}

impl Tools {
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = binary(self.folder.join(program).to_str().unwrap(), arguments);
        command.args(["--format", "json", "--database-url", &self.url]).env("ENABLE_STI", "true");
        command
    }

    /// The report of a command that must end with `exit`, without where the database is.
    #[track_caller]
    fn report(&self, program: &str, arguments: &[&str], exit: i32) -> Value {
        let mut report = report(&self.command(program, arguments).output().unwrap(), exit);
        report.as_object_mut().unwrap().remove("target");
        report
    }
}

#[test]
fn everything_works_and_no_session_is_left_changed() {
    let database = TestDatabase::django_postgres();
    let undisturbed = TestDatabase::django_postgres();
    let bouncer = PgBouncer::before(&database, SESSIONS).unwrap();
    let folder = binaries();
    let through = Tools { folder: folder.clone(), url: bouncer.url().to_owned() };
    let direct = Tools { folder: folder.clone(), url: database.url().to_owned() };
    let expected = Tools { folder, url: undisturbed.url().to_owned() };

    for tools in [&through, &expected] {
        tools.report("sti-migrate", &["up"], 0);
    }
    let expected = expected.report("sti", &["backfill", "--chunk", "500"], 1);

    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| work_as_an_application(&bouncer, &over));
        let ended = scope.spawn(|| backfill_with_a_pause(&through)).join();
        over.store(true, Ordering::SeqCst);
        let done = ended.unwrap();
        assert_eq!(done["totals"], expected["totals"]);
        assert_eq!(done["ending"], "complete");
    });
    check_ledger(&database);

    let same = |program: &str, arguments: &[&str], exit| {
        let (here, there) =
            (through.report(program, arguments, exit), direct.report(program, arguments, exit));
        assert_eq!(without_moments(here), without_moments(there), "{program} {arguments:?}");
    };
    same("sti", &["status"], 0);
    same("sti", &["runs"], 0);
    same("sti", &["counts"], 0);
    same("sti", &["quarantine", "list"], 0);
    same("sti-verify", &[], 1);
    same("sti-verify", &["--repair", "--from", "legacy"], 0);
    same("sti-migrate", &["status"], 0);
    let [here, there] =
        [&through, &direct].map(|tools| verdicts(&tools.report("sti-migrate", &["drop-legacy"], 1)));
    assert_eq!(here, there);
    nothing_is_left(&bouncer);
}

/// A backfill with two workers that somebody pauses, looks at and lets go on; its report.
fn backfill_with_a_pause(tools: &Tools) -> Value {
    let arguments = ["backfill", "--workers", "2", "--chunk", "100", "--pace", "0.5", "--verbose"];
    let mut command = tools.command("sti", &arguments);
    let mut child: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    let mut wait_for = |text: &str| {
        seen.extend(said.by_ref().take_while(|line| !line.contains(text)));
        seen.clone()
    };
    wait_for("chunk 3:");
    tools.report("sti", &["pause", "--reason", "the proxy is looked at"], 0);
    wait_for("the proxy is looked at");
    let status = tools.report("sti", &["status"], 0);
    assert_eq!(status["run"]["condition"], "waiting", "{status:#}");
    tools.report("sti", &["resume"], 0);
    let lines = wait_for("nothing of this kind is said");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the fixture has conflicts: {lines:#?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Works through the same proxy until it is told to stop: plain statements that write, each a transaction of its own,
/// and the library.
fn work_as_an_application(bouncer: &PgBouncer, over: &AtomicBool) {
    let mut plain = PgConnection::establish(bouncer.url()).unwrap();
    let url = DatabaseUrl::parse(bouncer.url()).unwrap();
    let mut connection = connect(&url, Access::Write, "application").unwrap();
    let projects = ProjectRepository::open(&mut connection, WriteMode::Dual).unwrap();
    let owner = sql_query("SELECT min(id) AS id FROM auth_user").get_result::<Owner>(&mut plain).unwrap();
    let new = NewProject::draft(
        "made behind the proxy",
        sql_types::Integer(owner.id.into()),
        NewDetails::School(Default::default()),
    );
    while !over.load(Ordering::SeqCst) {
        plain.batch_execute("UPDATE auth_user SET is_active = is_active").unwrap();
        let id = projects.create(&mut connection, &new).unwrap().project.id;
        let name = ProjectPatch { name: Some("changed".to_owned()), ..ProjectPatch::default() };
        projects.update(&mut connection, id, &name).unwrap();
        assert_eq!(projects.get(&mut connection, id).unwrap().project.name, "changed");
        projects.delete(&mut connection, id).unwrap();
    }
}

#[derive(diesel::QueryableByName)]
struct Owner {
    #[diesel(sql_type = Integer)]
    id: i32,
}

#[derive(diesel::QueryableByName)]
struct SessionState {
    #[diesel(sql_type = Integer)]
    pid: i32,
    #[diesel(sql_type = BigInt)]
    prepared: i64,
    #[diesel(sql_type = Nullable<Text>)]
    changed: Option<String>,
}

/// Looks into each session of the server: no statement prepared by name, no setting but those that pgbouncer itself
/// keeps for each client.
fn nothing_is_left(bouncer: &PgBouncer) {
    let url = DatabaseUrl::parse(bouncer.url()).unwrap();
    let mut connection = connect(&url, Access::Read, "look").unwrap();
    let look = "SELECT pg_backend_pid() AS pid, (SELECT count(*) FROM pg_prepared_statements) AS prepared, \
                (SELECT string_agg(name, ' ') FROM pg_settings WHERE source = 'session' AND name NOT IN \
                 ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')) AS changed";
    let mut pids = std::collections::BTreeSet::new();
    for _ in 0..4 * SESSIONS {
        let session: SessionState = sql_query(look).get_result(&mut connection).unwrap();
        assert_eq!((session.prepared, session.changed), (0, None), "session {}", session.pid);
        pids.insert(session.pid);
    }
    assert_eq!(pids.len(), SESSIONS, "every session has been looked into");
}

/// The gates of a plan of the drop, but for the one that is a time: name, verdict, what was found.
fn verdicts(plan: &Value) -> Vec<[String; 3]> {
    let gates = plan["gates"].as_array().unwrap();
    assert!(gates.len() > 5, "{plan:#}");
    let gates = gates.iter().filter(|gate| gate["name"] != "lock-time");
    gates.map(|gate| ["name", "verdict", "found"].map(|field| gate[field].to_string())).collect()
}

/// A report without what differs between two moments.
fn without_moments(mut report: Value) -> Value {
    if let Some(fields) = report.as_object_mut() {
        fields
            .retain(|name, _| !["now", "seconds", "took_ms", "digest", "sessions"].contains(&name.as_str()));
        for (_, value) in fields.iter_mut() {
            *value = without_moments(value.take());
        }
    } else if let Some(items) = report.as_array_mut() {
        for item in items {
            *item = without_moments(item.take());
        }
    }
    report
}
