//! The log of the binary: the same arguments as those of the others.

use sti_core::test_support::{TestDatabase, records};

use crate::rig::{migrate, run_on, shown};

sti_core::both_backends! { django: every_line_is_a_record_and_none_holds_a_value }

fn every_line_is_a_record_and_none_holds_a_value(database: &TestDatabase) {
    migrate(database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.log");
    let value =
        database.value("SELECT max(teacher_name) FROM projects_project WHERE course_name IS NOT NULL");
    let arguments = ["--log-format", "json", "--log-level", "trace", "--log-file", file.to_str().unwrap()];
    let output = run_on(database, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(records(&text)[0]["message"].as_str().unwrap().starts_with("sti-verify: "), "{text}");
    let log = std::fs::read_to_string(&file).unwrap();
    assert_eq!(records(&log).last().unwrap()["exit_code"], 1);
    assert!(!text.contains(&value) && !log.contains(&value), "{value} is in {log}");
}

#[test]
fn a_log_that_cannot_be_written_is_told_before_anything_is_done() {
    let output = run_on(&TestDatabase::sqlite(), &["--log-file", "/dev/full"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: cannot write the log file /dev/full: ") && said.lines().count() == 1,
        "{said}"
    );
}
