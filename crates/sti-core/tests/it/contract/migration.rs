//! The migration that drops the columns: real, in a set of its own, and of no use to who has no permit.

use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use diesel_migrations::MigrationHarness as _;
use sti_core::both_backends;
use sti_core::contract::{Outcome, leftovers};
use sti_core::db::{AnyConnection, migrations::ContractMigrations};
use sti_core::expand::{self, LegacyColumns};
use sti_core::probe::Step;
use sti_core::test_support::TestDatabase;

use super::rig::{columns_left, drop_with, dropped, everything, once_at, open, options, planned, ready};
use crate::expand::rig::up;
use crate::restore::rig::{finished, legacy_digest, restored};

both_backends! {
    a_harness_without_a_permit_gets_nowhere,
    a_tool_that_goes_on_after_errors_gets_nowhere,
    no_permit_outlives_its_transaction,
    up_does_not_run_it_and_status_knows_it,
    its_down_side_is_real,
    a_drop_that_was_made_before_the_change_log_is_taken_back_after_it,
}

const UP: [&str; 2] = [
    include_str!("../../../migrations/contract/postgres/00000000000901_drop_legacy_columns/up.sql"),
    include_str!("../../../migrations/contract/sqlite/00000000000901_drop_legacy_columns/up.sql"),
];

const BEFORE_THE_CHANGE_LOG: [&str; 2] = [
    include_str!("../../../migrations/postgres/00000000000108_sti_change_log/down.sql"),
    include_str!("../../../migrations/sqlite/00000000000108_sti_change_log/down.sql"),
];

/// What any program with diesel's migrations does.
fn run_all(connection: &mut AnyConnection) -> Result<usize, String> {
    let ran = match connection {
        AnyConnection::Pg(c) => c.run_pending_migrations(ContractMigrations).map(|ran| ran.len()),
        AnyConnection::Sqlite(c) => c.run_pending_migrations(ContractMigrations).map(|ran| ran.len()),
    };
    ran.map_err(|error| error.to_string())
}

fn a_harness_without_a_permit_gets_nowhere(database: &TestDatabase) {
    ready(database);
    let before = everything(database);
    let mut connection = open(database);
    let error = run_all(&mut connection).unwrap_err();
    assert!(error.contains("are dropped by"), "{error}");
    assert!(error.contains("sti-migrate drop-legacy"), "{error}");
    assert_eq!((columns_left(database), everything(database)), (5, before));
    // Neither does it leave anything behind in its session.
    connection.batch_execute("ALTER TABLE projects_project DROP COLUMN teacher_name").unwrap();
}

/// Each statement in a transaction of its own, and none is stopped by the failure of another.
fn a_tool_that_goes_on_after_errors_gets_nowhere(database: &TestDatabase) {
    ready(database);
    let before = everything(database);
    let mut connection = open(database);
    let script = UP[usize::from(database.backend_name() == "sqlite")];
    let code: Vec<&str> = script.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    let sqlite = database.backend_name() == "sqlite";
    let statements: Vec<&str> = if sqlite { code.trim().split_inclusive(';').collect() } else { vec![&code] };
    let failed = statements.iter().filter(|statement| connection.batch_execute(statement).is_err()).count();
    // SQLite: the permit, five columns, and what the permit would have left behind.
    assert_eq!(failed, if sqlite { 7 } else { 1 });
    assert_eq!((columns_left(database), everything(database)), (5, before));
}

fn no_permit_outlives_its_transaction(database: &TestDatabase) {
    ready(database);
    let mut connection = open(database);
    let permit = database.either(
        "INSERT INTO sti_drop_permit (transaction) VALUES (pg_current_xact_id()::text)",
        "INSERT INTO sti_drop_permit (\"transaction\") VALUES ('1')",
    );
    let error = connection.batch_execute(&format!("BEGIN; {permit}; COMMIT")).unwrap_err().to_string();
    assert!(error.to_lowercase().contains("foreign key"), "{error}");
    connection.batch_execute("ROLLBACK").ok();
    assert_eq!(database.count("sti_drop_permit"), 0);
    for impossible in ["(id, never_commits) VALUES (1, 1)", "(id, never_commits) VALUES (0, 0)"] {
        let (columns, values) = impossible.split_once(") VALUES (").unwrap();
        let columns = format!("{columns}, \"transaction\"");
        let values = values.replace(')', ", '1')");
        let identity = database.either("OVERRIDING SYSTEM VALUE", "");
        let sql = format!("INSERT INTO sti_drop_permit {columns}) {identity} VALUES ({values}");
        let error = connection.batch_execute(&sql).unwrap_err().to_string();
        assert!(error.to_lowercase().contains("check constraint"), "{sql}: {error}");
    }
    if database.backend_name() == "postgres" {
        // Another transaction's permit is none.
        let sql = format!("BEGIN; INSERT INTO sti_drop_permit (transaction) VALUES ('1'); {}", UP[0]);
        let error = connection.batch_execute(&sql).unwrap_err().to_string();
        assert!(error.contains("are dropped by"), "{error}");
        connection.batch_execute("ROLLBACK").unwrap();
    }
    assert_eq!(columns_left(database), 5);
}

fn up_does_not_run_it_and_status_knows_it(database: &TestDatabase) {
    ready(database);
    let up = expand::up(&mut open(database), expand::UpOptions::default(), &mut |_| ()).unwrap();
    assert!(up.plan.is_done() && columns_left(database) == 5);
    let applied = |status: &expand::Status| {
        status.migrations.iter().any(|m| m.version == "00000000000901" && m.applied)
    };
    let before = expand::status(&mut open(database)).unwrap();
    assert!(!applied(&before));

    dropped(database, &options());
    let after = expand::status(&mut open(database)).unwrap();
    assert!(applied(&after));
    assert_eq!((after.legacy, after.others), (LegacyColumns::Dropped, before.others));
    assert_eq!(after.misfits, []);
    assert_eq!(after.notes, [before.notes, vec![expand::Note::LegacyDropped]].concat());
}

/// For a foreign tool; values come back by `restore-legacy` only.
fn its_down_side_is_real(database: &TestDatabase) {
    ready(database);
    dropped(database, &options());
    assert_eq!(columns_left(database), 0);
    let reverted = match &mut open(database) {
        AnyConnection::Pg(c) => {
            c.revert_last_migration(ContractMigrations).map(|version| version.to_string())
        }
        AnyConnection::Sqlite(c) => {
            c.revert_last_migration(ContractMigrations).map(|version| version.to_string())
        }
    };
    assert_eq!(reverted.unwrap(), "00000000000901");
    assert_eq!(columns_left(database), 5);
    assert_eq!(database.count("projects_project WHERE course_name IS NULL AND study_frequency IS NULL"), 4);
}

/// Takes the last migration of ours back, as any tool does.
fn without_the_change_log(database: &TestDatabase) {
    let script = BEFORE_THE_CHANGE_LOG[usize::from(database.backend_name() == "sqlite")];
    database.execute(script);
    database.execute("DELETE FROM __diesel_schema_migrations WHERE version = '00000000000108'");
}

fn a_drop_that_was_made_before_the_change_log_is_taken_back_after_it(database: &TestDatabase) {
    ready(database);
    let before = legacy_digest(database);
    dropped(database, &options());
    without_the_change_log(database);
    assert!(up(database).unwrap().changed());
    if database.backend_name() == "postgres" {
        assert_eq!(database.count("sti_drop_run WHERE event_id = id AND NOT abandoned"), 1);
        // As many rows as there were projects are not gone through again, in the 10 s that a statement has.
        let checked = "pg_constraint WHERE conname = 'sti_legacy_archive_run_fkey' AND convalidated";
        assert_eq!(database.count(checked), 0);
    }
    assert!(leftovers(&mut open(database)).unwrap().is_empty());
    assert_eq!(database.count("sti_legacy_archive"), 4);
    restored(database);
    assert_eq!(legacy_digest(database), before);
    finished(database);
    dropped(database, &options());
}

/// Beside the triggers of a drop that was killed.
#[test]
fn its_log_goes_with_the_triggers_that_write_it() {
    let database = Arc::new(TestDatabase::postgres());
    ready(&database);
    let shared = Arc::clone(&database);
    let mut options = options();
    options.probe = once_at(Step::Snapshot, move || without_the_change_log(&shared));
    let digest = planned(&database, &options).digest;
    let outcome = drop_with(database.url(), &options, &digest);
    assert!(!matches!(outcome, Ok(Outcome::Done(_))), "{outcome:?}");
    database.execute(
        "UPDATE projects_project SET name = 'goes on'; UPDATE projects_schoolproject SET course_name = ''",
    );
    assert_eq!(columns_left(&database), 5);
}
