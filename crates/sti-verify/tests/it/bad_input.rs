//! Bad input: one clear message that names the thing and the next step, exit code 2, nothing written.

use std::process::{Command, Output};

use sti_core::test_support::TestDatabase;

use crate::rig::{json, migrate, run_on, settings, shown, sti_verify};

sti_core::both_backends! { a_database_without_our_tables, a_database_after_the_drop, a_database_without_the_log }

#[track_caller]
fn refused(name: &str, output: &Output) {
    let shown = shown(output);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(output.stdout.is_empty(), "{shown}");
    settings(None).bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn arguments() {
    let run = |arguments: &[&str]| sti_verify(arguments).output().unwrap();
    refused("no_url", &run(&[]));
    refused("sample_too_large", &run(&["--sample", "10001"]));
    refused("repair_without_side", &run(&["--repair"]));
    refused("execute_without_digest", &run(&["--repair", "--from", "legacy", "--execute"]));
    let short = ["--repair", "--from", "legacy", "--execute", "--confirm", "12"];
    refused("digest_too_short", &run(&short));
}

fn a_database_without_our_tables(database: &TestDatabase) {
    refused("no_table", &run_on(database, &[]));
    refused("no_table_repair", &run_on(database, &["--repair", "--from", "legacy"]));
}

fn a_database_after_the_drop(database: &TestDatabase) {
    migrate(database);
    for column in ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"] {
        database.execute(&format!("ALTER TABLE projects_project DROP COLUMN {column}"));
    }
    refused("legacy_columns_gone", &run_on(database, &[]));
}

fn a_database_without_the_log(database: &TestDatabase) {
    migrate(database);
    database.execute("DROP TABLE sti_repair_log");
    let plan = json(&run_on(database, &["--repair", "--from", "legacy", "--format", "json"]), 0);
    let digest = plan["digest"].as_str().unwrap();
    refused("no_log", &run_on(database, &["--repair", "--from", "legacy", "--execute", "--confirm", digest]));
}

/// The places that `--ids-out` cannot write to.
#[test]
fn places_for_ids() {
    let database = TestDatabase::django_sqlite();
    refused("ids_no_folder", &run_on(&database, &["--ids-out", "/no/such/folder/ids.tsv"]));
    refused("ids_a_folder", &run_on(&database, &["--ids-out", "/"]));
    refused("ids_a_device", &run_on(&database, &["--ids-out", "/dev/null"]));
}

/// A limit on the size of files stands for a full disk: every write beyond it fails. No half file is left, and
/// one that was there before stays.
#[test]
fn a_full_disk() {
    let database = TestDatabase::django_sqlite();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.tsv");
    std::fs::write(&path, "of an earlier run").unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} --database-url {} --ids-out {}",
        env!("CARGO_BIN_EXE_sti-verify"),
        database.url(),
        path.display(),
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let mut settings = settings(None);
    settings.add_filter(&folder.path().display().to_string(), "[folder]");
    settings.bind(|| refused("ids_full_disk", &output));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "of an earlier run");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
