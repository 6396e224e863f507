//! Where the database URL comes from: the flag wins over the environment, the environment over `.env`; and ENABLE_STI
//! is never read from `.env`.

use sti_core::test_support::TestDatabase;

use crate::rig::{migrate, shown, sti};

fn first_line(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    String::from_utf8(output.stderr).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn the_flag_wins_over_the_environment_and_that_over_dot_env() {
    let [flag, environment, file] = [(); 3].map(|()| TestDatabase::sqlite());
    for database in [&flag, &environment, &file] {
        migrate(database);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), format!("ENABLE_STI=true\nDATABASE_URL={}\n", file.url()))
        .unwrap();
    let path = |database: &TestDatabase| database.path().unwrap().display().to_string();

    let mut command = sti(&["counts"]);
    let line = first_line(command.current_dir(&folder));
    assert_eq!(line, format!("sti counts: SQLite file {} (from DATABASE_URL in .env)", path(&file)));
    let line = first_line(command.env("DATABASE_URL", environment.url()));
    assert_eq!(line, format!("sti counts: SQLite file {} (from DATABASE_URL)", path(&environment)));
    let line = first_line(command.args(["--database-url", flag.url()]));
    assert_eq!(line, format!("sti counts: SQLite file {} (from --database-url)", path(&flag)));
}

#[test]
fn enable_sti_is_never_read_from_dot_env() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), format!("ENABLE_STI=true\nDATABASE_URL={}\n", database.url()))
        .unwrap();
    let output = sti(&["backfill"]).current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(shown(&output).contains("refused: ENABLE_STI is off here"));
}

#[test]
fn a_dot_env_that_cannot_be_read_does_not_show_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "DATABASE_URL='postgres://u:s3cret@h/d\n").unwrap();
    let output = sti(&["counts"]).current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!shown(&output).contains("s3cret"), "{}", shown(&output));
    assert!(shown(&output).contains("cannot read .env"), "{}", shown(&output));
}
