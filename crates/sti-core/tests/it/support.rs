//! The test server, databases and digests that all other tests stand on.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use sti_core::both_backends;
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Binaries, Cut, CuttingProxy, Server, ServerOptions};

const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];

both_backends! { values_come_back_as_they_went_in, the_application_role_writes_rows_and_nothing_else }
both_backends! { django: the_fixture_has_the_digests_of_its_json }

fn values_come_back_as_they_went_in(database: &TestDatabase) {
    database
        .execute("CREATE TABLE t (id text PRIMARY KEY, a text); INSERT INTO t VALUES ('1', ''), ('2', NULL)");
    assert_eq!(database.count("t WHERE a IS NULL"), 1);
    assert_eq!(database.value("SELECT max(id) FROM t"), "2");
    assert_eq!(database.value("SELECT a FROM t WHERE id = '2'"), "NULL");
    assert_eq!(database.column("id", "FROM t ORDER BY 1 DESC"), [Some("2".to_owned()), Some("1".to_owned())]);
    assert_eq!(
        database.select(&["id", "a"], "FROM t ORDER BY id"),
        [[Some("1".to_owned()), Some(String::new())], [Some("2".to_owned()), None]]
    );
}

fn the_fixture_has_the_digests_of_its_json(database: &TestDatabase) {
    let path = TestDatabase::django_folder().join("django-10k.json");
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for (name, table, id, columns) in [
        ("legacy", "projects_project", "id", &LEGACY[..]),
        ("school", "projects_schoolproject", "project_id", &LEGACY[..3]),
        ("self_study", "projects_selfstudyproject", "project_id", &LEGACY[3..]),
    ] {
        let expected = &json["digests"][name];
        let found = database.digest(table, id, columns);
        assert_eq!(expected["rows"], found.rows, "{name}");
        assert_eq!(expected["digest"], found.to_string(), "{name}");
    }
}

fn the_application_role_writes_rows_and_nothing_else(database: &TestDatabase) {
    database.execute("CREATE TABLE ours (id text); CREATE TABLE theirs (id text)");
    let url = database.application_role();
    database.grant_application(&["theirs"]);
    if database.backend_name() == "sqlite" {
        assert_eq!(url, database.url());
        return;
    }
    let run = |sql: &str| PgConnection::establish(&url).unwrap().batch_execute(sql);
    run("INSERT INTO theirs VALUES ('1'); UPDATE theirs SET id = '2'; DELETE FROM theirs").unwrap();
    for refused in [
        "SELECT * FROM ours",
        "ALTER TABLE theirs ADD a text",
        "TRUNCATE theirs",
        "CREATE TABLE mine (id text)",
    ] {
        let error = run(refused).unwrap_err().to_string();
        assert!(error.contains("permission denied") || error.contains("must be owner"), "{refused}: {error}");
    }
}

#[test]
fn a_database_is_gone_when_its_test_is_over() {
    let bystander = TestDatabase::postgres();
    let dropped = TestDatabase::postgres();
    let name = dropped.value("SELECT current_database()");
    let role = dropped.application_role();
    assert!(role.contains(&format!("user={name}_app")), "{role}");
    drop(dropped);
    assert_eq!(bystander.count(&format!("pg_database WHERE datname = '{name}'")), 0);
    assert_eq!(bystander.count(&format!("pg_roles WHERE rolname = '{name}_app'")), 0);

    let file = TestDatabase::sqlite();
    let path = file.path().unwrap().to_path_buf();
    assert!(path.is_file());
    drop(file);
    assert!(!path.exists());
    assert!(!TestDatabase::sqlite_missing().path().unwrap().exists());
}

#[test]
fn a_server_crashes_and_comes_back_with_what_was_committed() {
    let options = ServerOptions::new().setting("deadlock_timeout", "3s").setting("synchronous_commit", "on");
    let server = Server::start(&Binaries::from_environment().unwrap(), &options).unwrap();
    let database = TestDatabase::postgres_on(&server);
    assert_eq!(database.value("SELECT current_setting('deadlock_timeout')"), "3s");
    assert_eq!(database.value("SELECT current_setting('listen_addresses')"), "");
    database.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
    let first = server.pid();

    server.stop_immediate().unwrap();
    assert!(PgConnection::establish(database.url()).is_err());
    server.start_again().unwrap();
    assert_ne!(server.pid(), first);
    assert_eq!(database.value("SELECT id FROM t"), "7");
    drop(database);

    let folder = server.folder().to_path_buf();
    drop(server);
    assert!(!folder.exists());
}

/// The child of the next test: it starts a server, says where, and waits to be killed.
#[test]
fn a_server_does_not_outlive_a_killed_process() {
    const CHILD: &str = "STI_TEST_KILLED_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let server = Server::start(&Binaries::from_environment().unwrap(), &ServerOptions::new()).unwrap();
        fs::write(std::env::var_os(CHILD).unwrap(), server.folder().to_str().unwrap()).unwrap();
        loop {
            thread::park();
        }
    }
    let note = tempfile_path();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "support::a_server_does_not_outlive_a_killed_process"])
        .env(CHILD, &note)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let folder = wait_for(|| fs::read_to_string(&note).ok().filter(|text| !text.is_empty()));
    let folder = PathBuf::from(folder);
    assert!(folder.join("data/postmaster.pid").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(|| (!folder.exists()).then_some(()));
    fs::remove_file(note).unwrap();
}

#[test]
fn a_folder_without_a_server_is_refused_with_the_line_to_run() {
    let error = Binaries::find(Some(PathBuf::from("/nowhere"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no PostgreSQL server binaries (searched /nowhere); install it with `apt-get install postgresql`, or name \
         its folder in STI_POSTGRES_BIN"
    );
}

fn tempfile_path() -> PathBuf {
    std::env::temp_dir().join(format!("sti-note-{}", std::process::id()))
}

/// What `look` finds, once it finds it; fails after a minute.
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "nothing after a minute");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Inserts a row in a transaction through the proxy and tells whether the program heard that it committed.
fn heard_a_commit(proxy: &CuttingProxy) -> bool {
    let mut connection = PgConnection::establish(proxy.url()).unwrap();
    connection.batch_execute("BEGIN").unwrap();
    connection.batch_execute("INSERT INTO t VALUES ('cut here')").unwrap();
    connection.batch_execute("COMMIT").is_ok()
}

#[test]
fn the_proxy_cuts_on_either_side_of_a_commit_and_only_once() {
    for (cut, committed) in [(Cut::BeforeCommit, 0), (Cut::AfterCommit, 1)] {
        let database = TestDatabase::postgres();
        database.execute("CREATE TABLE t (a text)");
        let proxy = CuttingProxy::before(&database, "cut here", cut);
        let mut other = PgConnection::establish(proxy.url()).unwrap();
        other.batch_execute("BEGIN; SELECT 1").unwrap();
        other.batch_execute("COMMIT").unwrap();
        assert!(!proxy.has_cut(), "{cut:?}: no transaction said the word yet");
        assert!(!heard_a_commit(&proxy), "{cut:?}");
        assert!(proxy.has_cut(), "{cut:?}");
        // Waits for the lock of the session that was cut, so its end is settled.
        database.execute("BEGIN; LOCK TABLE t; ROLLBACK");
        assert_eq!(database.count("t"), committed, "{cut:?}");
        assert!(heard_a_commit(&proxy), "{cut:?}: the wire breaks once");
    }
}

#[test]
fn the_proxy_can_stay_broken() {
    let database = TestDatabase::postgres();
    database.execute("CREATE TABLE t (a text)");
    let proxy = CuttingProxy::before_and_unreachable_afterwards(&database, "cut here", Cut::AfterCommit);
    assert!(!heard_a_commit(&proxy));
    assert!(PgConnection::establish(proxy.url()).is_err());
    assert_eq!(database.count("t"), 1);
}
