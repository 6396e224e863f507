//! What no log may hold: values of projects above debug, passwords at any level.

use sti_core::test_support::{TestDatabase, records};

use super::stderr;
use crate::rig::{migrate, shown, sti, sti_on};

/// What stands in every column that holds text.
const VALUE: &str = "Zoölogie-4711";

/// Two published projects whose columns hold [`VALUE`], and a database that quotes the row as it refuses it, with this
/// code.
fn refusing(code: &str) -> TestDatabase {
    let database = TestDatabase::postgres();
    migrate(&database);
    database.execute(&format!(
        "INSERT INTO projects_project (id, name, project_type, owner_id, course_name, course_code, teacher_name, \
             is_draft, created_at, updated_at) \
         SELECT gen_random_uuid(), '{VALUE}', 'school', 1, '{VALUE}', '{VALUE}', '{VALUE}', false, now(), now() \
         FROM generate_series(1, 2); \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'course % is not wanted', NEW.course_name USING ERRCODE = '{code}', \
                 DETAIL = format('Failing row contains (%s)', NEW.course_name); END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON projects_schoolproject FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
    database
}

#[test]
fn no_record_above_debug_holds_a_value() {
    // A check that a row breaks: quarantine. An error that nobody knows: the run stops.
    for (code, exit, level) in [("23514", 1, "WARN"), ("P0001", 2, "ERROR")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sti.log");
        let run = |level: &str| {
            let arguments = [
                "backfill",
                "--max-error-rate",
                "100",
                "--log-format",
                "json",
                "--log-level",
                level,
                "--log-file",
                file.to_str().unwrap(),
            ];
            let output = sti_on(&refusing(code), &arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(exit), "{}", shown(&output));
            let text = stderr(&output) + &std::fs::read_to_string(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            records(&text)
        };
        let quotes = |record: &serde_json::Value| record.to_string().contains(VALUE);
        let info = run("info");
        assert!(!info.iter().any(quotes), "{code}: {info:#?}");
        assert!(info.iter().any(|record| record["level"] == level), "{code}: {info:#?}");
        let debug = run("debug");
        assert!(debug.iter().any(quotes), "{code}: {debug:#?}");
        let above = debug.iter().filter(|record| record["level"] != "DEBUG");
        assert!(!above.into_iter().any(quotes), "{code}: {debug:#?}");
    }
}

/// The person at the terminal is told what the database said when the command fails because of it.
#[test]
fn the_person_is_told_why_it_failed() {
    let output = sti_on(&refusing("P0001"), &["backfill"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(stderr(&output).contains("is not wanted"), "{}", shown(&output));
}

/// Plain lines are kept by whoever runs the command, too.
#[test]
fn no_plain_line_about_the_quarantine_holds_a_value() {
    let database = refusing("23514");
    let arguments = ["backfill", "--verbose", "--max-error-rate", "100"];
    let output = sti_on(&database, &arguments).output().unwrap();
    let said = stderr(&output);
    assert!(
        said.contains("goes into quarantine (check_violation): the database refused it in words"),
        "{said}"
    );
    assert!(!said.contains(VALUE), "{said}");
    // Where it may be read.
    let list = sti_on(&database, &["quarantine", "list"]).output().unwrap();
    assert!(shown(&list).contains(VALUE), "{}", shown(&list));
}

#[test]
fn no_record_at_any_level_holds_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.log");
    let database = TestDatabase::postgres();
    migrate(&database);
    // A server takes any password from somebody whom it trusts.
    let accepted = if database.url().contains('?') {
        format!("{}&password=s3cr3t", database.url())
    } else {
        format!("{}?password=s3cr3t", database.url())
    };
    let refused = "postgres://app:s3cr3t@127.0.0.1:9/ocean?sslmode=disable".to_owned();
    let malformed = "postgres://app:s3cr3t@127.0.0.1:x/ocean".to_owned();
    for (url, exit) in [(accepted, 0), (refused, 2), (malformed, 2)] {
        let arguments =
            ["counts", "--log-format", "json", "--log-level", "trace", "--log-file", file.to_str().unwrap()];
        let output = sti(&[&arguments[..], &["--database-url", &url]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{}", shown(&output));
        let text = shown(&output) + &std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}
