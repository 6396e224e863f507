//! The log of the binary: the same arguments as those of the others.

use sti_core::test_support::{Session, TestDatabase, records};

use crate::rig::{on, shown, sti_migrate};

/// Locks that are tried for, and the sessions that hold them, are told in several lines: each of them is a record.
#[test]
fn every_line_is_a_record() {
    let database = TestDatabase::django_postgres();
    database.execute("DROP TABLE projects_selfstudyproject CASCADE");
    let holder = Session::open(&database, "somebody");
    holder.run("BEGIN; UPDATE projects_project SET name = name");
    let mut up = on(&database, &["up", "--attempts", "2", "--log-format", "json"]);
    let output = up.output().unwrap();
    holder.run("ROLLBACK");
    let records = records(&String::from_utf8(output.stderr.clone()).unwrap());
    let messages: Vec<&str> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert!(messages[0].starts_with("sti-migrate up: "), "{messages:#?}");
    assert!(messages.iter().any(|message| message.contains("(somebody) holds a lock on")), "{messages:#?}");
    assert_eq!(records.last().unwrap()["exit_code"], 3, "{}", shown(&output));
    assert_eq!(up.output().unwrap().status.code(), Some(0));
}

#[test]
fn a_log_that_cannot_be_written_is_told_before_anything_is_made() {
    let database = TestDatabase::sqlite_missing();
    for file in ["/no/such/folder/sti.log", "/dev/full"] {
        let output = on(&database, &["up", "--create", "--log-file", file]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(&format!("error: cannot write the log file {file}: ")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert!(!database.path().unwrap().exists());
}

#[test]
fn the_last_word_is_a_record_too() {
    let output = sti_migrate(&["status", "--log-format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let records = records(&String::from_utf8(output.stderr).unwrap());
    assert_eq!(records[0]["level"], "ERROR");
    assert!(records[0]["message"].as_str().unwrap().starts_with("no database named"), "{records:#?}");
}
