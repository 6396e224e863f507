//! What the backfill's tests share.

use std::sync::Mutex;

use sti_core::ChunkEvent;
use sti_core::backfill::{
    Backfill, BackfillConfig, BackfillError, ChunkSize, Owner, Scope, Sizing, StopSignal,
};
use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect};
use sti_core::observe::{Event, Observer};
use sti_core::test_support::TestDatabase;
pub(crate) use sti_core::test_support::migrate;

pub(crate) fn open(database: &TestDatabase) -> AnyConnection {
    connect(&DatabaseUrl::parse(database.url()).unwrap(), Access::Write, "test").unwrap()
}

pub(crate) fn config(chunk: u32, scope: Scope) -> BackfillConfig {
    let mut config = BackfillConfig::new(Owner::this_process("test"));
    config.sizing = Sizing::Pinned(ChunkSize::new(chunk).unwrap());
    config.scope = scope;
    config
}

pub(crate) fn run(database: &TestDatabase, config: &BackfillConfig) -> Result<Backfill, BackfillError> {
    run_observed(database, config, &())
}

pub(crate) fn run_observed(
    database: &TestDatabase,
    config: &BackfillConfig,
    observer: &dyn Observer,
) -> Result<Backfill, BackfillError> {
    let url = DatabaseUrl::parse(database.url()).unwrap();
    Backfill::run(&|| connect(&url, Access::Write, "test backfill"), config, observer)
}

/// Asks for a stop behind the first chunk that was committed, and keeps what was told.
pub(crate) fn stop_behind_a_chunk(stop: &StopSignal, told: &mut Vec<String>) -> impl FnMut(&ChunkEvent) {
    |event| {
        told.push(format!("{event:?}"));
        if matches!(event, ChunkEvent::Committed { .. }) {
            stop.stop();
        }
    }
}

/// Keeps every event.
#[derive(Default)]
pub(crate) struct Recorder(pub Mutex<Vec<Event>>);

impl Observer for Recorder {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// Gives every event to a closure.
pub(crate) struct Tell<F>(pub F);

impl<F: Fn(&Event) + Send + Sync> Observer for Tell<F> {
    fn event(&self, event: &Event) {
        (self.0)(event);
    }
}

/// An id with its number in the last digits, as both backends write it in SQL.
pub(crate) fn id(number: u32) -> String {
    format!("{number:032x}")
}

/// A project with values in all legacy columns of its kind.
pub(crate) fn insert_project(database: &TestDatabase, number: u32, project_type: &str, draft: bool) {
    let (school, self_study) = match project_type {
        "school" => (format!("'course {number}', 'code {number}', NULL"), "NULL, NULL".to_owned()),
        "self_study" => ("NULL, NULL, NULL".to_owned(), format!("'goal {number}', NULL")),
        _ => (format!("'course {number}', NULL, NULL"), "NULL, NULL".to_owned()),
    };
    database.execute(&format!(
        "INSERT INTO projects_project (id, name, project_type, course_name, course_code, teacher_name, \
            goal_description, study_frequency, is_draft, created_at, updated_at, owner_id) \
         VALUES ('{}', 'project {number}', '{project_type}', {school}, {self_study}, {draft}, \
            '2026-01-02 03:04:05', '2026-01-02 03:04:05', 1)",
        id(number)
    ));
}

/// What is on one side and not on the other, counted both ways.
pub(crate) fn differences(database: &TestDatabase) -> [i64; 4] {
    let school = [
        "SELECT id, COALESCE(course_name, ''), COALESCE(course_code, ''), COALESCE(teacher_name, '') \
         FROM projects_project WHERE project_type = 'school'",
        "SELECT project_id, course_name, course_code, teacher_name FROM projects_schoolproject",
    ];
    let self_study = [
        "SELECT id, COALESCE(goal_description, ''), COALESCE(study_frequency, '') \
         FROM projects_project WHERE project_type = 'self_study'",
        "SELECT project_id, goal_description, study_frequency FROM projects_selfstudyproject",
    ];
    let except = |one: &str, other: &str| database.count(&format!("({one} EXCEPT {other}) AS difference"));
    [
        except(school[0], school[1]),
        except(school[1], school[0]),
        except(self_study[0], self_study[1]),
        except(self_study[1], self_study[0]),
    ]
}
