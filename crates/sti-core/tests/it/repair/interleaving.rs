//! Another writer between any two statements of a repair, on a real server: whoever comes second, the right subtype
//! row is there and the counts are right. The same runs with the lock, or the second look, taken out end wrong.
//!
//! The order is forced by locks. The writer's transaction starts at a step of the repair; the repair goes on only when
//! the writer has done its statements or waits for a lock, and the writer commits only when the repair waits or is
//! done.

mod race;

use sti_core::models::Kind::{School, SelfStudy};
use sti_core::probe::{Sabotage, Step};
use sti_core::test_support::TestDatabase;
use sti_core::verify::repair::{Change, ChangeCounts, Direction};

use super::{changes, legacy_of, row_of};
use crate::verify::rig::{found, id, migrate, project_sql, row_sql};
use race::{Commit, Race, race};

/// What is there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// A school project whose row drifted, beside a row of the wrong kind.
    DriftAndBoth,
    /// A school project with a row of the wrong kind only.
    WrongAlone,
}

/// A writer as a service in dual mode: parent first, then the subtype rows.
struct Writer {
    draft: bool,
    statements: Vec<String>,
    /// What the writer leaves, once both are done.
    ends_right: fn(&TestDatabase) -> bool,
    /// Whether the second look is needed beside the lock.
    needs_second_look: bool,
    /// What is left to repair when the writer came first.
    leaves: &'static [(Change, sti_core::models::Kind, i64)],
}

const STEPS: [Step; 5] = [Step::Lock, Step::Look, Step::Record, Step::Write, Step::Commit];
const COMMITS: [Commit; 2] = [Commit::AtOnce, Commit::WhenAwaited];
const SCENARIOS: [(Direction, Before); 3] = [
    (Direction::Legacy, Before::DriftAndBoth),
    (Direction::Legacy, Before::WrongAlone),
    (Direction::Subtype, Before::DriftAndBoth),
];

fn upsert_school() -> String {
    format!(
        "INSERT INTO projects_schoolproject SELECT id, COALESCE(course_name, ''), COALESCE(course_code, ''), \
         COALESCE(teacher_name, '') FROM projects_project WHERE id = '{}' ON CONFLICT (project_id) DO UPDATE SET \
         course_name = EXCLUDED.course_name, course_code = EXCLUDED.course_code, \
         teacher_name = EXCLUDED.teacher_name",
        id(1).hex()
    )
}

fn school_is(database: &TestDatabase, course: &str) -> bool {
    found(database).is_empty()
        && row_of(database, 1, School).is_some_and(|row| row[0] == course)
        && legacy_of(database, 1)[0].as_deref() == Some(course)
}

#[test]
fn an_update() {
    hold(&Writer {
        draft: false,
        statements: vec![
            format!("UPDATE projects_project SET course_name = 'new' WHERE id = '{}'", id(1).hex()),
            upsert_school(),
        ],
        ends_right: |database| school_is(database, "new"),
        needs_second_look: true,
        leaves: &[(Change::DeleteRow, SelfStudy, 1)],
    });
}

#[test]
fn a_publish() {
    hold(&Writer {
        draft: true,
        statements: vec![
            format!(
                "UPDATE projects_project SET is_draft = false, course_name = 'published' WHERE id = '{}'",
                id(1).hex()
            ),
            upsert_school(),
        ],
        ends_right: |database| {
            school_is(database, "published") && database.count("projects_project WHERE NOT is_draft") == 1
        },
        needs_second_look: true,
        leaves: &[(Change::DeleteRow, SelfStudy, 1)],
    });
}

#[test]
fn a_change_of_type() {
    let id = id(1).hex();
    hold(&Writer {
        draft: false,
        statements: vec![
            format!(
                "UPDATE projects_project SET project_type = 'self_study', course_name = NULL, course_code = NULL, \
                 teacher_name = NULL, goal_description = 'goal', study_frequency = 'now' WHERE id = '{id}'"
            ),
            format!("DELETE FROM projects_schoolproject WHERE project_id = '{id}'"),
            format!(
                "INSERT INTO projects_selfstudyproject VALUES ('{id}', 'goal', 'now') ON CONFLICT (project_id) \
                 DO UPDATE SET goal_description = 'goal', study_frequency = 'now'"
            ),
        ],
        ends_right: |database| {
            found(database).is_empty()
                && row_of(database, 1, SelfStudy).is_some_and(|row| row == ["goal", "now"])
                && row_of(database, 1, School).is_none()
        },
        needs_second_look: true,
        leaves: &[],
    });
}

#[test]
fn a_delete() {
    let id = id(1).hex();
    hold(&Writer {
        draft: false,
        statements: vec![
            format!("SELECT id FROM projects_project WHERE id = '{id}' FOR UPDATE"),
            format!("DELETE FROM projects_schoolproject WHERE project_id = '{id}'"),
            format!("DELETE FROM projects_selfstudyproject WHERE project_id = '{id}'"),
            format!("DELETE FROM projects_project WHERE id = '{id}'"),
        ],
        ends_right: |database| found(database).is_empty() && database.count("projects_project") == 0,
        // The locking statement itself leaves out a project that went while it waited.
        needs_second_look: false,
        leaves: &[],
    });
}

/// Every scenario at every step, in every order, ends right; and with the lock or the second look taken out, it is
/// this test that fails.
#[track_caller]
fn hold(writer: &Writer) {
    let database = TestDatabase::postgres();
    migrate(&database);
    let wrong = |sabotage| -> Vec<String> {
        let mut wrong = Vec::new();
        for (direction, before) in SCENARIOS {
            // Without its lock the engine has no step between the lock and the look.
            for step in STEPS.into_iter().filter(|step| sabotage == Sabotage::None || *step != Step::Look) {
                for commit in COMMITS {
                    plant(&database, before, writer.draft);
                    let race = Race { direction, step, commit, sabotage, statements: &writer.statements };
                    if let Err(reason) = right(&database, &race, writer) {
                        wrong.push(format!("{direction:?} {before:?} {step:?} {commit:?}: {reason}"));
                    }
                }
            }
        }
        wrong
    };
    assert_eq!(wrong(Sabotage::None), [""; 0]);
    let without_lock = wrong(Sabotage::Lock);
    assert!(!without_lock.is_empty(), "nothing goes wrong without the lock");
    let without_look = wrong(Sabotage::SecondLook);
    assert_eq!(!without_look.is_empty(), writer.needs_second_look, "{without_look:?}");
}

fn plant(database: &TestDatabase, before: Before, draft: bool) {
    database.execute(
        "TRUNCATE projects_project, projects_schoolproject, projects_selfstudyproject, sti_repair_log",
    );
    let legacy = [Some("Physics"), Some("P1"), Some("Curie"), None, None];
    let mut sql = project_sql(1, "school", draft, legacy) + &row_sql(1, SelfStudy, &["wrong", ""]);
    if before == Before::DriftAndBoth {
        sql += &row_sql(1, School, &["drifted", "P1", "Curie"]);
    }
    database.execute(&sql);
}

/// Runs the race and says what is wrong with its end.
fn right(database: &TestDatabase, run: &Race<'_>, writer: &Writer) -> Result<(), String> {
    let outcome = race(database, run)?;
    if !(writer.ends_right)(database) {
        return Err(format!("the rows are wrong: {:?}", found(database)));
    }
    let expected =
        if run.step == Step::Lock { writer.leaves.to_vec() } else { changes(&outcome.plan.changes) };
    let found: &ChangeCounts = &outcome.changed;
    if changes(found) != expected {
        return Err(format!("expected {expected:?}, found {:?}", changes(found)));
    }
    let logged = database.count("sti_repair_log");
    if logged != found.total() {
        return Err(format!("{} changes, {logged} before-images", found.total()));
    }
    Ok(())
}
