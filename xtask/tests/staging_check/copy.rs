//! On a staging copy: what is left out, what is done, and where it is refused.

use std::process::Command;

use serde_json::Value;
use sti_core::test_support::TestDatabase;

use crate::{XTASK, steps, tools, walk};

/// A database as Django made it, that the walk knows nothing of.
fn filled(database: TestDatabase) -> TestDatabase {
    let made = Command::new(XTASK)
        .args(["sample", "--projects", "400", "--seed", "3", "--database-url", database.url()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    database
}

/// A walk on it that passes: its report, and what it printed.
#[track_caller]
fn passes(database: &TestDatabase, arguments: &[&str]) -> (Value, String) {
    let (output, report) = walk(&[&["--database-url", database.url()], arguments].concat());
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((steps(&report, "fail"), steps(&report, "not_run")), (vec![], vec![]), "{words}");
    (report, words)
}

/// What the walk does not do without permission.
const LEFT_OUT: [&str; 8] =
    ["trap", "digest", "drop", "service", "restore", "restored", "finish", "second-drop"];

/// What is left out on purpose is named, and neither a failure nor passed over in silence.
#[test]
fn the_drop_is_left_out_by_name() {
    let database = filled(TestDatabase::sqlite());
    let (report, words) = passes(&database, &[]);
    assert_eq!(steps(&report, "left_out"), LEFT_OUT);
    assert!(words.contains("left out (") && words.contains("PASS: "), "{words}");
}

/// An earlier drop on record is no permission for another.
#[test]
fn everything_is_done_when_it_is_allowed_and_nothing_is_dropped_when_it_is_not_any_more() {
    let database = filled(TestDatabase::sqlite());
    let (report, words) = passes(&database, &["--allow-destructive"]);
    assert!(!steps(&report, "left_out").contains(&"drop"), "{words}");
    assert!(steps(&report, "pass").contains(&"second-drop"), "{words}");

    let drops =
        database.select(&["id", "digest", "restored_at", "finished_at"], "FROM sti_drop_event ORDER BY id");
    assert_eq!(drops.len(), 2);
    let (report, words) = passes(&database, &[]);
    assert!(words.contains("nothing is dropped without --allow-destructive"), "{words}");
    // Each row is there already: there is nothing to kill, and no incomplete backfill for the guard to refuse.
    let left_out: Vec<_> =
        steps(&report, "left_out").into_iter().filter(|step| LEFT_OUT.contains(step)).collect();
    assert_eq!(left_out, LEFT_OUT, "{words}");
    assert_eq!(
        database.select(&["id", "digest", "restored_at", "finished_at"], "FROM sti_drop_event ORDER BY id"),
        drops
    );
}

/// The walk could not be made, says why and what to do, and has written nothing.
#[track_caller]
fn refuses(database: &TestDatabase, words: &[&str]) {
    let look = || match database.path() {
        Some(path) => std::fs::read(path).unwrap(),
        None => {
            let rows = ["pg_class", "pg_proc", "pg_trigger"].map(|of| database.count(of).to_string());
            rows.concat().into_bytes()
        }
    };
    let before = look();
    for allowed in [&[][..], &["--allow-destructive"]] {
        let (output, report) = walk(&[&["--database-url", database.url()], allowed].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}\n{stderr}", String::from_utf8_lossy(&output.stdout));
        assert_eq!((output.stdout.len(), &report["verdict"]), (0, &"unknown".into()));
        for word in words.iter().chain(&["Nothing was written"]) {
            assert!(stderr.contains(word), "{word}: {stderr}");
        }
    }
    assert!(look() == before, "something was written");
}

#[test]
fn refused_where_legacy_columns_are_gone() {
    let database = filled(TestDatabase::sqlite());
    database.execute("ALTER TABLE projects_project DROP COLUMN teacher_name");
    refuses(&database, &["legacy columns are gone (teacher_name)", "sti-migrate restore-legacy"]);
}

#[test]
fn refused_where_a_restore_is_not_finished() {
    let database = filled(TestDatabase::sqlite());
    let up =
        Command::new(tools().join("sti-migrate")).args(["up", "--database-url", database.url()]).output();
    assert!(up.unwrap().status.success());
    database.execute(
        "INSERT INTO sti_drop_event (id, dropped_at, restored_at, tool_version) \
         VALUES (1, '2026-01-01', '2026-01-02', 'x')",
    );
    let words =
        ["drop 1 is on record, and its restore is not finished", "sti-migrate restore-legacy --finish"];
    refuses(&database, &words);
}

/// With them nothing drifts, a backfill may run without the flag, and the drop takes them away.
#[test]
fn refused_where_sync_triggers_are_there() {
    let database = filled(TestDatabase::postgres());
    let migrate = |arguments: &[&str]| {
        let mut run = Command::new(tools().join("sti-migrate"));
        let output = run.args(arguments).args(["--database-url", database.url()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    migrate(&["up"]);
    migrate(&["sync", "install"]);
    let triggers = ["sti_sync_insert", "sti_sync_update", "0_sti_sync_delete"];
    let on = triggers.map(|name| format!("trigger {name} on projects_project"));
    let [insert, update, delete] = on.each_ref().map(String::as_str);
    refuses(&database, &[insert, update, delete, "function sti_sync()", "sti-migrate sync remove"]);
    assert_eq!(database.count("sti_backfill_run"), 0);
    // The command that was named is enough.
    migrate(&["sync", "remove"]);
    passes(&database, &[]);
}

#[test]
fn refused_where_triggers_of_a_restore_are_there() {
    let database = filled(TestDatabase::sqlite());
    database.execute(
        "CREATE TRIGGER sti_restore_school_insert AFTER INSERT ON projects_schoolproject BEGIN SELECT 1; END",
    );
    refuses(&database, &["trigger sti_restore_school_insert", "sti-migrate restore-legacy --finish"]);
}
