//! Writers of the legacy columns alone whom the sync triggers serve, while a drop is at work: what they write is kept,
//! for its row is written in the same transaction; and the triggers go with the columns, whenever they came.

use std::sync::Arc;

use sti_core::contract::Outcome;
use sti_core::probe::Step;
use sti_core::test_support::TestDatabase;

use super::oracle::{made, refused, watched};
use crate::contract::rig::{drop_with, once_at, options, planned};
use crate::sync::rig::{installed, removed};
use crate::verify::rig::{id, project_sql};

const STEPS: [Step; 4] = [Step::Snapshot, Step::Archive, Step::CatchUpLook, Step::Begin];

/// Drops while `hook` is called at `step`.
fn meanwhile(
    database: &Arc<TestDatabase>,
    step: Step,
    hook: impl Fn(&TestDatabase) + Send + 'static,
) -> Outcome {
    let digest = planned(database, &options()).digest;
    let shared = Arc::clone(database);
    let mut options = options();
    options.probe = once_at(step, move || hook(&shared));
    drop_with(database.url(), &options, &digest).unwrap()
}

#[track_caller]
fn nothing_of_sync_is_left(database: &TestDatabase) {
    assert_eq!(database.count("pg_proc WHERE proname = 'sti_sync'"), 0);
    assert_eq!(database.count("pg_trigger WHERE tgname LIKE '%sti_sync%'"), 0);
}

#[test]
fn what_a_served_writer_writes_is_kept() {
    let of_one = |sql: &str| sql.replace("{}", &id(1).hex());
    for step in STEPS {
        for sql in [
            of_one("UPDATE projects_project SET teacher_name = 'late' WHERE id = '{}'"),
            of_one(
                "UPDATE projects_project SET project_type = 'self_study', goal_description = 'late', \
                    course_name = NULL, course_code = NULL, teacher_name = NULL WHERE id = '{}'",
            ),
            of_one("DELETE FROM projects_project WHERE id = '{}'"),
            project_sql(9, "school", false, [Some("late"), None, None, None, None]),
        ] {
            let database = Arc::new(watched());
            installed(&database);
            let late = sql.clone();
            let outcome = meanwhile(&database, step, move |database| database.execute(&late));
            made(&database, &outcome, &format!("{sql} at {step:?}"));
            nothing_of_sync_is_left(&database);
        }
    }
}

/// They come after the change log, and a writer after them.
#[test]
fn triggers_that_come_meanwhile_go_too() {
    for step in [Step::CatchUp, Step::CatchUpLook, Step::Begin] {
        let database = Arc::new(watched());
        let outcome = meanwhile(&database, step, move |database| {
            installed(database);
            database.execute(&format!(
                "UPDATE projects_project SET teacher_name = 'late' WHERE id = '{}'",
                id(1).hex()
            ));
        });
        made(&database, &outcome, &format!("installed at {step:?}"));
        nothing_of_sync_is_left(&database);
    }
}

/// They go, or do not fire, and a writer comes whom nobody serves.
#[test]
fn a_writer_who_is_not_served_is_named() {
    let late = format!("UPDATE projects_project SET teacher_name = 'late' WHERE id = '{}'", id(1).hex());
    for step in [Step::Archive, Step::CatchUp, Step::Begin] {
        for by in ["no trigger", "a replication role"] {
            // The snapshot would be in the way of their removal.
            if (by, step) == ("no trigger", Step::Archive) {
                continue;
            }
            let database = Arc::new(watched());
            installed(&database);
            let late = late.clone();
            let outcome = meanwhile(&database, step, move |database| {
                if by == "no trigger" {
                    removed(database);
                    database.execute(&late);
                } else {
                    database.execute(&format!("SET session_replication_role = replica; {late}"));
                }
            });
            refused(&database, &outcome, id(1), &format!("{by} at {step:?}"));
        }
    }
}
