//! A verification that is ended early: exit code 3, no report, and nothing left behind.

use std::process::{Child, Command, Output, Stdio};

use sti_core::test_support::postgres::{Binaries, Server, ServerOptions};
use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use crate::rig::{json, migrate, run_on, settings, shown, sti_verify};

/// A database whose readers wait for a lock, as those of a very large one wait for its pages.
fn locked() -> (TestDatabase, Session) {
    let database = TestDatabase::postgres();
    migrate(&database);
    let holder = Session::open(&database, "holder");
    holder.run("BEGIN; LOCK TABLE projects_selfstudyproject IN ACCESS EXCLUSIVE MODE");
    (database, holder)
}

#[track_caller]
fn not_finished(name: &str, database: &TestDatabase, output: &Output) {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{}", shown(output));
    settings(Some(database)).bind(|| insta::assert_snapshot!(name, shown(output)));
    let left = "pg_stat_activity WHERE application_name = 'sti-verify'";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while database.count(left) > 0 {
        assert!(std::time::Instant::now() < deadline, "its statement still waits on the server");
        std::thread::yield_now();
    }
}

#[test]
fn the_time_limit() {
    let (database, _holder) = locked();
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("ids.tsv");
    let output = run_on(&database, &["--max-seconds", "3", "--ids-out", ids.to_str().unwrap()]);
    assert!(shown(&output).contains(" s: comparing both sides of every project, in one statement\n"));
    not_finished("time_limit", &database, &output);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file of ids is left there");
}

fn signalled(signal: &str, child: Child) -> Output {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    child.wait_with_output().unwrap()
}

#[test]
fn signals() {
    for (name, signal) in [("interrupted", "-INT"), ("interrupted", "-TERM")] {
        let (database, _holder) = locked();
        let folder = tempfile::tempdir().unwrap();
        let mut command = sti_verify(&["--database-url", database.url(), "--format", "json", "--ids-out"]);
        command.arg(folder.path().join("ids.tsv")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        wait_until_it_waits(&database, "sti-verify");
        not_finished(name, &database, &signalled(signal, child));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file of ids is left there");
    }
}

#[test]
fn a_standby_is_told_as_one() {
    let binaries = Binaries::from_environment().unwrap();
    let server = Server::start(&binaries, &ServerOptions::new()).unwrap();
    let database = TestDatabase::postgres_on(&server);
    migrate(&database);
    let name = database.value("SELECT current_database()");
    let standby = server.standby(&binaries, "follower").unwrap();
    database.execute(
        "INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id) \
                      VALUES ('00000001-0000-4000-8000-000000000000', 'p', 'school', false, now(), now(), 1)",
    );
    let url = standby.url(&name);
    let run = |arguments: &[&str]| sti_verify(arguments).args(["--database-url", &url]).output().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let report = loop {
        let output = run(&["--format", "json"]);
        if output.status.code() == Some(1) {
            break json(&output, 1);
        }
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        assert!(std::time::Instant::now() < deadline, "the standby does not catch up");
    };
    assert!(report["standby"]["replayed"].as_str().unwrap().ends_with('Z'), "{report:#}");
    let mut settings = settings(Some(&database));
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[time]");
    settings.bind(|| insta::assert_snapshot!("standby", shown(&run(&["--sample", "0"]))));
    assert!(json(&run_on(&database, &["--format", "json"]), 1)["standby"].is_null());
}
