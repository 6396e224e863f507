//! The binaries as their user runs them, and what they print.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::TestDatabase;
use crate::db::{Access, DatabaseUrl, connect, migrations};

/// `program` (the path that `CARGO_BIN_EXE_…` names) with nothing of this process's settings, in a folder without a
/// `.env`.
pub fn binary(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for variable in ["DATABASE_URL", "ENABLE_STI", "RUST_BACKTRACE", "COLUMNS", "PGPASSWORD", "PGOPTIONS"] {
        command.env_remove(variable);
    }
    command.current_dir(std::env::temp_dir()).args(arguments);
    command
}

/// What a command printed and how it ended, as one text for a snapshot.
#[must_use]
pub fn shown(output: &Output) -> String {
    format!(
        "exit code: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().map_or("none".to_owned(), |code| code.to_string()),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The report of a command that must have ended with `exit` and was asked for JSON.
#[track_caller]
pub fn report(output: &Output, exit: i32) -> Value {
    assert_eq!(output.status.code(), Some(exit), "{}", shown(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", shown(output)))
}

/// The records of a log as JSON, each line of which must be one.
#[must_use]
#[track_caller]
pub fn records(text: &str) -> Vec<Value> {
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "message"] {
            assert!(record[field].is_string(), "no {field} in {line}");
        }
        record
    };
    text.lines().map(record).collect()
}

/// The places that a snapshot must not name, as regular expressions with what stands for them: the target of the
/// first line, and the folder of a SQLite file.
#[must_use]
pub fn places(database: Option<&TestDatabase>) -> Vec<(String, &'static str)> {
    let folder = database.and_then(TestDatabase::path).and_then(Path::parent);
    let target = |pattern: &str| (pattern.to_owned(), "[target]");
    let mut places =
        vec![target(r#"PostgreSQL database \S+ on [^\s",]*[^\s",:]"#), target(r"SQLite file \S+?test\.db")];
    places.extend(folder.map(|folder| (folder.display().to_string(), "[folder]")));
    places
}

/// Runs our migrations on a database.
#[track_caller]
pub fn migrate(database: &TestDatabase) {
    let failed =
        |error: &dyn std::fmt::Display| -> ! { panic!("cannot migrate {}: {error}", database.url()) };
    let url = DatabaseUrl::parse(database.url()).unwrap_or_else(|error| failed(&error));
    let mut connection = connect(&url, Access::Write, "sti test").unwrap_or_else(|error| failed(&error));
    migrations::run_pending(&mut connection).unwrap_or_else(|error| failed(&error));
}
