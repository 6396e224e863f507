//! What the tests of the binary share.

use std::path::Path;
use std::process::{Command, Output};

use sti_core::db::{Access, DatabaseUrl, connect, migrations};
use sti_core::test_support::TestDatabase;

/// The binary, with nothing of this process's settings.
pub(crate) fn sti_verify(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sti-verify"));
    for variable in ["DATABASE_URL", "ENABLE_STI", "RUST_BACKTRACE", "COLUMNS", "PGPASSWORD"] {
        command.env_remove(variable);
    }
    // A folder without a `.env`.
    command.current_dir(std::env::temp_dir()).args(arguments);
    command
}

/// Runs the binary on a database.
pub(crate) fn run_on(database: &TestDatabase, arguments: &[&str]) -> Output {
    sti_verify(arguments).args(["--database-url", database.url()]).output().unwrap()
}

/// What a command printed and how it ended, as one text for a snapshot.
pub(crate) fn shown(output: &Output) -> String {
    format!(
        "exit code: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().map_or("none".to_owned(), |code| code.to_string()),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The report of a command that ended with `exit` and was asked for JSON.
pub(crate) fn json(output: &Output, exit: i32) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(exit), "{}", shown(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Filters what differs from run to run, and names no place of this machine.
pub(crate) fn settings(database: Option<&TestDatabase>) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r#"PostgreSQL database \S+ on [^\s",]*[^\s",:]"#, "[target]");
    settings.add_filter(r"SQLite file \S+?test\.db", "[target]");
    if let Some(path) = database.and_then(TestDatabase::path).and_then(Path::parent) {
        settings.add_filter(&path.display().to_string(), "[folder]");
    }
    settings
}

pub(crate) fn migrate(database: &TestDatabase) {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    migrations::run_pending(&mut connect(&url, Access::Write, "test").unwrap()).unwrap();
}
