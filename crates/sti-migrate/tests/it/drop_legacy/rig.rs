//! A small database that is ready for the drop, and what a drop must leave as it is.

use std::process::Command;

use serde_json::Value;
use sti_core::test_support::{TestDatabase, report};

use crate::held::Held;
use crate::rig::on;

/// The waivers without which [`ready`] is refused.
pub(crate) const WAIVED: [&str; 4] = ["--waive", "unknown-type=1", "--waive", "stray-values=1"];

/// The name of the sessions of a drop.
pub(crate) const DROP: &str = "sti-migrate drop-legacy";

/// A drop of what [`ready`] makes has archived some projects, and is at the next one.
pub(crate) const ARCHIVING: Held = Held {
    table: "sti_legacy_archive",
    event: "BEFORE INSERT",
    condition: "NEW.project_id > '00000000000000000000000000000002'",
    at_commit: false,
};

const COLUMNS: &str = "course_name, course_code, teacher_name, goal_description, study_frequency";

/// Five projects, two of them drafts: one without any value and one of unknown type; one value is stray. Every row
/// that must be there is.
pub(crate) fn ready(database: &TestDatabase) {
    assert_eq!(on(database, &["up"]).output().unwrap().status.code(), Some(0));
    let project = |number: u8, project_type: &str, is_draft: bool, legacy: &str| {
        format!(
            "INSERT INTO projects_project (id, name, project_type, owner_id, is_draft, created_at, updated_at, \
                 {COLUMNS}) \
             VALUES ('{number:032}', 'project {number}', '{project_type}', 1, {is_draft}, \
                 '2024-01-02 03:04:05', '2024-01-02 03:04:05', {legacy});"
        )
    };
    let projects = [
        project(1, "school", false, "'Reefs', 'B-1', NULL, NULL, ''"),
        project(2, "school", true, "NULL, '', NULL, 'a stray value', NULL"),
        project(3, "self_study", false, "NULL, NULL, NULL, 'to swim \u{1f40b}', 'daily'"),
        project(4, "self_study", true, "NULL, NULL, NULL, NULL, NULL"),
        project(5, "SCHOOL", false, "'of no known type', NULL, NULL, NULL, NULL"),
    ];
    database.execute(&projects.concat());
    database.execute(&format!(
        "INSERT INTO projects_schoolproject (project_id, course_name, course_code, teacher_name) \
         VALUES ('{:032}', 'Reefs', 'B-1', ''), ('{:032}', '', '', ''); \
         INSERT INTO projects_selfstudyproject (project_id, goal_description, study_frequency) \
         VALUES ('{:032}', 'to swim \u{1f40b}', 'daily')",
        1, 2, 3
    ));
}

/// `sti-migrate drop-legacy` on a database, with the waivers of [`WAIVED`].
pub(crate) fn drop_legacy(database: &TestDatabase, arguments: &[&str]) -> Command {
    on(database, &[&["drop-legacy"], &WAIVED[..], arguments].concat())
}

/// The JSON report of a command that must end with `exit`.
#[track_caller]
pub(crate) fn json(command: &mut Command, exit: i32) -> Value {
    report(&command.args(["--format", "json"]).output().unwrap(), exit)
}

/// The digest of the plan of now, which must be open.
#[track_caller]
pub(crate) fn digest(database: &TestDatabase) -> String {
    let plan = json(&mut drop_legacy(database, &[]), 0);
    plan["digest"].as_str().unwrap().to_owned()
}

/// Everything that a drop changes, and everything that it must not leave behind when it was not made.
pub(crate) fn state(database: &TestDatabase) -> Vec<String> {
    let tables =
        ["sti_drop_event", "sti_legacy_archive", "sti_drop_permit", "sti_drop_run", "sti_change_log"];
    let mut state: Vec<String> =
        tables.iter().map(|table| format!("{table}: {} rows", database.count(table))).collect();
    let columns = database.either(
        "information_schema.columns WHERE table_name = 'projects_project' AND column_name = ANY (ARRAY[\
             'course_name', 'course_code', 'teacher_name', 'goal_description', 'study_frequency'])",
        "pragma_table_info('projects_project') WHERE name IN \
             ('course_name', 'course_code', 'teacher_name', 'goal_description', 'study_frequency')",
    );
    let columns = database.count(columns);
    state.push(format!("legacy columns: {columns}"));
    if columns == 5 {
        let legacy: Vec<&str> = COLUMNS.split(", ").collect();
        state.push(format!("legacy values: {}", database.digest("projects_project", "id", &legacy)));
    }
    state.extend(
        database.column("version", "FROM __diesel_schema_migrations ORDER BY version").into_iter().flatten(),
    );
    let triggers =
        database.either("pg_trigger WHERE NOT tgisinternal", "sqlite_schema WHERE type = 'trigger'");
    state.push(format!("triggers: {}", database.count(triggers)));
    let locks = "pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' \
                 AND d.datname = current_database()";
    state
        .push(format!("advisory locks: {}", database.count(database.either(locks, "sqlite_schema WHERE 0"))));
    for (table, columns) in [
        ("projects_schoolproject", &["course_name", "course_code", "teacher_name"][..]),
        ("projects_selfstudyproject", &["goal_description", "study_frequency"]),
    ] {
        state.push(format!("{table}: {}", database.digest(table, "project_id", columns)));
    }
    state
}

/// The digest of what the archive holds of the legacy columns: that of the columns as they were.
pub(crate) fn archived(database: &TestDatabase) -> String {
    let columns: Vec<&str> = COLUMNS.split(", ").collect();
    database.digest("sti_legacy_archive", "project_id", &columns).to_string()
}

/// The digest of the legacy columns.
pub(crate) fn legacy(database: &TestDatabase) -> String {
    let columns: Vec<&str> = COLUMNS.split(", ").collect();
    database.digest("projects_project", "id", &columns).to_string()
}
