//! What the tests of the binary share.

use std::process::{Child, Command};

pub(crate) use sti_core::test_support::shown;
use sti_core::test_support::{TestDatabase, binary, places};

/// The binary, with nothing of this process's settings.
pub(crate) fn sti_migrate(arguments: &[&str]) -> Command {
    binary(env!("CARGO_BIN_EXE_sti-migrate"), arguments)
}

/// The binary on a database.
pub(crate) fn on(database: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = sti_migrate(arguments);
    command.args(["--database-url", database.url()]);
    command
}

/// Sends the signal of this name: `INT`.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
}

/// Runs a command that must end with `exit`, and compares all of what it prints.
pub(crate) fn snapshot(name: &str, database: Option<&TestDatabase>, command: &mut Command, exit: i32) {
    let output = command.output().unwrap();
    let shown = shown(&output);
    assert_eq!(output.status.code(), Some(exit), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    settings(database).bind(|| insta::assert_snapshot!(name, shown));
}

/// Compares a text that a command has written somewhere.
pub(crate) fn snapshot_text(name: &str, database: &TestDatabase, text: &str) {
    settings(Some(database)).bind(|| insta::assert_snapshot!(name, text));
}

/// Filters what differs from run to run, and names no place of this machine.
fn settings(database: Option<&TestDatabase>) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (place, name) in places(database) {
        settings.add_filter(&place, name);
    }
    settings.add_filter(r#"(PostgreSQL|SQLite) \d+\.[^,"\n]*(, schema public)?"#, "[server]");
    settings.add_filter(r#""server_version": "[^"]*""#, r#""server_version": "[version]""#);
    // A slow machine has more to tell.
    settings.add_filter(r"(?m)^after \d+ (s|min): .*\n?", "");
    settings.add_filter(r"for another \d+ s", "for another [time] s");
    settings.add_filter(r"trying again in \d+\.\d s", "trying again in [rest]");
    settings.add_filter(r"(drop \d+ (at|of)|restored at|finished at) [0-9TZ: -]*\d(Z| UTC)", "$1 [moment]");
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[moment]");
    settings
        .add_filter(r#""((dropped|restore_began|restored|finished)_at)": "\d[^"]*""#, r#""$1": "[moment]""#);
    settings.add_filter(r"pid \d+", "pid [pid]");
    settings.add_filter(r"begun \d+ s ago", "begun [time] ago");
    settings.add_filter(r"\d+ s ago \([^)]*\)", "[time] ago");
    settings.add_filter(r"transaction of \d+ s", "transaction of [seconds] s");
    let measured = r"(estimated|comparing|archiving|dropping|compared in|with|held for|lock-time[ |]+pass[ |]+)( ?)\d+\.\d+ s";
    settings.add_filter(measured, "$1$2[time] s");
    settings.add_filter(r#""found": \d+(,\s+"allowed": 2000)"#, r#""found": "[time]"$1"#);
    // Each version of PostgreSQL writes a view's query in its own way.
    settings.add_filter(r"(CREATE VIEW public\.reports AS)[^;]*;", "$1 [query];");
    settings.add_filter(r"\d+ rows a second", "[rate] rows a second");
    settings.add_filter(r#""pid": \d+"#, r#""pid": "[pid]""#);
    settings.add_filter(r"port \d{4,5}", "port [port]");
    settings.add_filter(r"connected for \d+ s", "connected for [time] s");
    settings.add_filter(r#""(\w+_ms|connected_s)": \d+"#, r#""$1": "[time]""#);
    settings.add_filter(r#"([ "])[0-9a-f]{12}\b"#, "$1[digest]");
    settings.add_filter(r"\bt\d+_\d+_[0-9a-f]+_app\b", "app");
    settings
}

/// Compares the report of a command in all three forms; only the JSON names the backend.
pub(crate) fn snapshot_formats(name: &str, database: &TestDatabase, arguments: &[&str], exit: i32) {
    for (format, name) in [
        ("text", format!("{name}_text")),
        ("markdown", format!("{name}_markdown")),
        ("json", named(&format!("{name}_json"), database)),
    ] {
        snapshot(&name, Some(database), on(database, arguments).args(["--format", format]), exit);
    }
}

/// `name_postgres`, `name_sqlite`: for reports that differ.
pub(crate) fn named(name: &str, database: &TestDatabase) -> String {
    format!("{name}_{}", database.backend_name())
}

/// What the database holds by way of tables; empty for one that was not touched.
pub(crate) fn tables(database: &TestDatabase) -> Vec<Option<String>> {
    database.column(
        "name",
        database.either(
            "FROM (SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public') t ORDER BY 1",
            "FROM sqlite_schema ORDER BY 1",
        ),
    )
}
