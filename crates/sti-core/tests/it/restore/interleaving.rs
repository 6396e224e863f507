//! Another writer between any two statements of a refill, on a real server: whoever comes second, both sides agree and
//! the writer's values are there. The same runs with the lock, the second look, or the lock of the trigger taken out
//! end wrong.
//!
//! The order is forced by locks. The writer's transaction starts at a step of the chunk; the chunk goes on only when
//! the writer has done its statements or waits for a lock, and the writer commits only when the refill waits or is
//! done.

mod race;

use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use sti_core::contract::restore::Restoration;
use sti_core::db::AnyConnection;
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::probe::{Sabotage, Step};
use sti_core::repository::{SchoolPatch, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectRepository, WriteMode};

use super::rig::drop_by_hand;
use crate::repository::rig::{
    id, insert, insert_row, legacy, migrate, new_school, row, school, teacher, texts, values,
};
use race::{Commit, Race, TakenOut, race};

const STEPS: [Step; 5] = [Step::Lock, Step::Look, Step::Write, Step::Record, Step::Commit];
const COMMITS: [Commit; 2] = [Commit::AtOnce, Commit::WhenAwaited];

/// A writer: what it does in its transaction, and whether what it wrote is there at the end.
struct Writer {
    work: fn(&mut AnyConnection),
    is_there: fn(&TestDatabase) -> bool,
    /// What goes wrong with when it is taken out.
    needs: &'static [TakenOut],
}

const ALL: [TakenOut; 2] = [TakenOut::Engine(Sabotage::Lock), TakenOut::Engine(Sabotage::SecondLook)];

/// Of a change of fields: the trigger levels these alone, and what the chunk writes into the others is the same before and
/// after. What the second look is for, a change of type shows.
const LOCK: [TakenOut; 1] = [TakenOut::Engine(Sabotage::Lock)];

fn sql(connection: &mut AnyConnection, sql: &str) {
    connection.batch_execute(&sql.replace("{1}", &id(1).hex())).unwrap();
}

fn both_sides_are(database: &TestDatabase, expected: [&str; 3]) -> bool {
    row(database, School, id(1)) == Some(texts(&expected))
        && legacy(database, id(1))[..3] == values(&expected.map(Some))
}

/// A writer of rows that knows nothing of locks: the trigger does what it can.
#[test]
fn sql_on_the_row_alone() {
    hold(&Writer {
        work: |c| sql(c, "UPDATE projects_schoolproject SET course_name = 'new' WHERE project_id = '{1}'"),
        is_there: |database| both_sides_are(database, ["new", "P1", "Curie"]),
        needs: &LOCK,
    });
}

/// The column is NULL until it is refilled, and NULL and '' are level: only the trigger's lock tells.
#[test]
fn sql_that_empties_a_row() {
    hold(&Writer {
        work: |c| {
            let empty = "course_name = '', course_code = '', teacher_name = ''";
            sql(c, &format!("UPDATE projects_schoolproject SET {empty} WHERE project_id = '{{1}}'"));
        },
        is_there: |database| {
            row(database, School, id(1)) == Some(texts(&["", "", ""]))
                && legacy(database, id(1)).iter().all(|value| value.as_deref().is_none_or(str::is_empty))
        },
        needs: &[TakenOut::TriggersLock],
    });
}

/// A service that has not noticed the columns: parent first, then the row.
#[test]
fn a_service_without_legacy_columns() {
    hold(&Writer {
        work: |c| {
            sql(
                c,
                "SELECT id FROM projects_project WHERE id = '{1}' FOR NO KEY UPDATE; \
                 UPDATE projects_project SET updated_at = now() WHERE id = '{1}'; \
                 INSERT INTO projects_schoolproject VALUES ('{1}', '', '', '') ON CONFLICT (project_id) \
                 DO UPDATE SET teacher_name = 'new'",
            );
        },
        is_there: |database| both_sides_are(database, ["Physics", "P1", "new"]),
        needs: &LOCK,
    });
}

/// Nothing decides but the moment: a row that goes while the columns hold what it held takes that along; before the refill
/// they hold nothing, so the archived values come back, and the verification names the project. Never a part of them.
#[test]
fn sql_that_deletes_a_row() {
    let database = &Arc::new(TestDatabase::postgres());
    migrate(database);
    let mut ends = Vec::new();
    for step in STEPS {
        for commit in COMMITS {
            afresh(database);
            let work: fn(&mut AnyConnection) =
                |c| sql(c, "DELETE FROM projects_schoolproject WHERE project_id = '{1}'");
            let run = Race { step, commit, taken_out: TakenOut::Nothing, work };
            let ended = race(database, &run).unwrap();
            assert_eq!(row(database, School, id(1)), None, "{step:?} {commit:?}");
            let columns = legacy(database, id(1));
            ends.push(match ended {
                Restoration::Done(_) if columns == values(&[None; 5]) => "gone",
                Restoration::NotVerified { .. }
                    if columns == values(&[Some("Physics"), Some("P1"), Some("Curie"), None, None]) =>
                {
                    "named"
                }
                other => panic!("{step:?} {commit:?}: {columns:?}, {other:?}"),
            });
        }
    }
    assert!(ends.contains(&"gone") && ends.contains(&"named"), "{ends:?}");
}

#[test]
fn a_service_without_legacy_columns_that_changes_the_type() {
    hold(&Writer {
        work: |c| {
            sql(
                c,
                "SELECT id FROM projects_project WHERE id = '{1}' FOR NO KEY UPDATE; \
                 UPDATE projects_project SET project_type = 'self_study' WHERE id = '{1}'; \
                 INSERT INTO projects_selfstudyproject VALUES ('{1}', 'goal', ''); \
                 DELETE FROM projects_schoolproject WHERE project_id = '{1}'",
            );
        },
        is_there: is_self_study,
        needs: &ALL,
    });
}

fn is_self_study(database: &TestDatabase) -> bool {
    let columns = legacy(database, id(1));
    row(database, School, id(1)).is_none()
        && row(database, SelfStudy, id(1)) == Some(texts(&["goal", ""]))
        && columns[..4] == values(&[None, None, None, Some("goal")])
        && columns[4].as_deref().is_none_or(str::is_empty)
}

fn in_mode(mode: WriteMode, connection: &mut AnyConnection) -> ProjectRepository {
    ProjectRepository::open(connection, mode).unwrap()
}

fn update(mode: WriteMode, c: &mut AnyConnection) {
    in_mode(mode, c).update(c, id(1), &teacher("new")).unwrap();
}

fn change_type(mode: WriteMode, c: &mut AnyConnection) {
    let patch = SelfStudyPatch { goal_description: Some("goal".into()), ..SelfStudyPatch::default() };
    in_mode(mode, c).change_type(c, id(1), &TypeChange::SelfStudy(patch)).unwrap();
}

fn there_and_back(mode: WriteMode, c: &mut AnyConnection) {
    change_type(mode, c);
    let patch = SchoolPatch::from(school("back", "", ""));
    in_mode(mode, c).change_type(c, id(1), &TypeChange::School(patch)).unwrap();
}

fn create_and_delete(mode: WriteMode, c: &mut AnyConnection) {
    let repository = in_mode(mode, c);
    repository.create(c, &new_school(2, "x", "", "z")).unwrap();
    repository.delete(c, id(1)).unwrap();
}

macro_rules! in_both_modes {
    ($($case:ident: $call:ident, $needs:expr, $is_there:expr;)+) => { $(
        mod $case {
            use super::*;
            #[test]
            fn dual() {
                hold(&Writer { work: |c| $call(WriteMode::Dual, c), is_there: $is_there, needs: $needs });
            }
            #[test]
            fn subtype() {
                hold(&Writer { work: |c| $call(WriteMode::Subtype, c), is_there: $is_there, needs: $needs });
            }
        }
    )+ };
}

in_both_modes! {
    a_repository_that_updates: update, &LOCK,
        |database| both_sides_are(database, ["Physics", "P1", "new"]);
    a_repository_that_changes_the_type: change_type, &ALL, is_self_study;
    a_repository_that_changes_the_type_twice: there_and_back, &ALL, |database| {
        row(database, School, id(1)) == Some(texts(&["back", "", ""]))
            && legacy(database, id(1))[0].as_deref() == Some("back")
    };
    // A project that has gone is passed over by every statement, lock or not.
    a_repository_that_creates_and_deletes: create_and_delete, &[], |database| {
        database.count("projects_project") == 1
            && row(database, School, id(2)) == Some(texts(&["x", "", "z"]))
            && legacy(database, id(2))[..3] == values(&[Some("x"), Some(""), Some("z")])
    };
}

/// One project whose columns were dropped.
fn afresh(database: &TestDatabase) {
    database.execute(
        "DROP FUNCTION IF EXISTS sti_restore_school() CASCADE; \
         DROP FUNCTION IF EXISTS sti_restore_self_study() CASCADE; \
         TRUNCATE projects_project, projects_schoolproject, projects_selfstudyproject, \
         sti_legacy_archive, sti_drop_run, sti_drop_event",
    );
    insert(database, 1, "school", [Some("Physics"), Some("P1"), Some("Curie"), None, None]);
    insert_row(database, School, 1, &["Physics", "P1", "Curie"]);
    drop_by_hand(database);
}

/// At every step, in every order, it ends right; and with what it needs taken out, it is this test that fails.
#[track_caller]
fn hold(writer: &Writer) {
    let database = &Arc::new(TestDatabase::postgres());
    migrate(database);
    let wrong = |taken_out| -> Vec<String> {
        let mut wrong = Vec::new();
        for step in STEPS {
            for commit in COMMITS {
                afresh(database);
                let run = Race { step, commit, taken_out, work: writer.work };
                if let Err(reason) = right(database, &run, writer) {
                    wrong.push(format!("{step:?} {commit:?}: {reason}"));
                }
            }
        }
        wrong
    };
    assert_eq!(wrong(TakenOut::Nothing), [""; 0]);
    for taken_out in writer.needs {
        assert!(!wrong(*taken_out).is_empty(), "nothing goes wrong without {taken_out:?}");
    }
}

/// Runs the race and says what is wrong with its end.
fn right(database: &Arc<TestDatabase>, run: &Race, writer: &Writer) -> Result<(), String> {
    match race(database, run)? {
        Restoration::Done(_) => {}
        other => return Err(format!("{other:?}")),
    }
    if (writer.is_there)(database) {
        return Ok(());
    }
    Err(format!(
        "the writer's values are not there: {:?}",
        database.column("teacher_name", "FROM projects_project")
    ))
}
