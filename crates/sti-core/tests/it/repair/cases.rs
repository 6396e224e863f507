//! What a repair does to each class, in each direction.

use serde_json::json;
use sti_core::both_backends;
use sti_core::db::Access;
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::TestDatabase;
use sti_core::verify::Class;
use sti_core::verify::repair::{Change, Direction, Execution, RepairOptions, execute};

use super::{changes, legacy_of, log, planned, repaired, row_of};
use crate::backfill::rig::stop_behind_a_chunk;
use crate::verify::rig::{
    SCHOOL, SCHOOL_ROW, SELF_STUDY, SELF_STUDY_ROW, draft, found, id, migrate, open, orphan, project, row,
    verified,
};

both_backends! {
    from_legacy_drift_is_mended, from_legacy_the_wrong_row_makes_way, from_legacy_orphans_go,
    from_legacy_missing_and_unknown_stay, from_subtype_only_columns_that_differ_change,
    from_subtype_the_wrong_row_goes_only_beside_the_right_one, awkward_values_survive_in_the_log,
    an_own_pointer_is_cleared, more_projects_than_a_chunk_holds,
    stopped_behind_a_chunk_it_goes_on_with_a_new_plan, nothing_to_do_is_no_change,
}

fn from_legacy_drift_is_mended(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", [Some("Physics"), None, Some("Curie "), None, None]);
    row(database, 1, School, &["physics", "P1", "Curie "]);
    draft(database, 2, "self_study", SELF_STUDY);
    row(database, 2, SelfStudy, &["", ""]);
    let repair = repaired(database, Direction::Legacy);
    let expected = [(Change::UpdateRow, School, 1), (Change::UpdateRow, SelfStudy, 1)];
    assert_eq!(changes(&repair.changed), expected);
    assert_eq!((repair.chunks, repair.settled), (1, 0));
    assert_eq!(row_of(database, 1, School).unwrap(), ["Physics", "", "Curie "]);
    assert_eq!(row_of(database, 2, SelfStudy).unwrap(), SELF_STUDY_ROW);
    assert!(verified(database).is_clean());
    let before = json!({ "project_id": log(database)[0].2["project_id"], "course_name": "physics",
        "course_code": "P1", "teacher_name": "Curie " });
    assert_eq!(log(database)[0], ("update_row".to_owned(), School.table().to_owned(), before));
    let entry = database.select(&["digest", "direction"], "FROM sti_repair_log LIMIT 1").remove(0);
    assert_eq!(entry, [Some(repair.plan.digest.clone()), Some("legacy".to_owned())]);
}

fn from_legacy_the_wrong_row_makes_way(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, SelfStudy, &["only here", ""]);
    project(database, 2, "self_study", SELF_STUDY);
    row(database, 2, School, &SCHOOL_ROW);
    row(database, 2, SelfStudy, &["old", "daily"]);
    let repair = repaired(database, Direction::Legacy);
    let expected = [
        (Change::UpdateRow, SelfStudy, 1),
        (Change::CreateRow, School, 1),
        (Change::DeleteRow, School, 1),
        (Change::DeleteRow, SelfStudy, 1),
    ];
    assert_eq!(changes(&repair.changed), expected);
    assert_eq!(row_of(database, 1, School).unwrap(), SCHOOL_ROW);
    assert_eq!(row_of(database, 1, SelfStudy), None);
    assert_eq!(row_of(database, 2, SelfStudy).unwrap(), SELF_STUDY_ROW);
    assert_eq!(row_of(database, 2, School), None);
    assert!(verified(database).is_clean());
    let log = log(database);
    assert_eq!((log[0].0.as_str(), &log[0].2), ("create_row", &json!(null)));
    assert_eq!((log[1].0.as_str(), &log[1].2["goal_description"]), ("delete_row", &json!("only here")));
}

fn from_legacy_orphans_go(database: &TestDatabase) {
    migrate(database);
    orphan(database, 1, School, &SCHOOL_ROW);
    orphan(database, 2, SelfStudy, &SELF_STUDY_ROW);
    let repair = repaired(database, Direction::Legacy);
    let expected = [(Change::DeleteOrphan, School, 1), (Change::DeleteOrphan, SelfStudy, 1)];
    assert_eq!(changes(&repair.changed), expected);
    assert!(verified(database).is_clean());
    assert_eq!(log(database)[1].2["goal_description"], "Read");
}

fn from_legacy_missing_and_unknown_stay(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    draft(database, 2, "school", SCHOOL);
    project(database, 3, "SCHOOL", SCHOOL);
    row(database, 3, School, &["", "", ""]);
    let plan = planned(database, Direction::Legacy);
    assert!(plan.is_empty());
    assert_eq!((plan.left.missing, plan.left.unknown_with_row), (2, 1));
    let before = found(database);
    assert_eq!(repaired(database, Direction::Legacy).chunks, 0);
    assert_eq!(found(database), before);
}

fn from_subtype_only_columns_that_differ_change(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", [Some("Physics"), None, Some("Curie"), Some("stray"), None]);
    row(database, 1, School, &["Chemistry", "", "Curie"]);
    let repair = repaired(database, Direction::Subtype);
    assert_eq!(changes(&repair.changed), [(Change::UpdateLegacy, School, 1)]);
    let values = [Some("Chemistry"), None, Some("Curie"), Some("stray"), None];
    assert_eq!(legacy_of(database, 1), values.map(|value| value.map(str::to_owned)));
    let before = json!({ "course_name": "Physics", "course_code": null, "teacher_name": "Curie",
        "goal_description": "stray", "study_frequency": null });
    let log = log(database);
    assert_eq!(log, [("update_legacy".to_owned(), "projects_project".to_owned(), before)]);
    assert!(verified(database).is_clean());
}

fn from_subtype_the_wrong_row_goes_only_beside_the_right_one(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, SelfStudy, &["only here", ""]);
    project(database, 2, "self_study", SELF_STUDY);
    row(database, 2, School, &SCHOOL_ROW);
    row(database, 2, SelfStudy, &SELF_STUDY_ROW);
    orphan(database, 3, School, &SCHOOL_ROW);
    let plan = planned(database, Direction::Subtype);
    assert_eq!((plan.left.wrong_kind, plan.left.orphans, plan.left.missing), (1, 1, 0));
    let repair = repaired(database, Direction::Subtype);
    assert_eq!(changes(&repair.changed), [(Change::DeleteRow, School, 1)]);
    assert_eq!(row_of(database, 1, SelfStudy).unwrap(), ["only here", ""]);
    assert_eq!(row_of(database, 2, School), None);
    assert_eq!(found(database), [(Class::Missing, 1), (Class::WrongKind, 1), (Class::OrphanSchool, 1)]);
}

/// Quotes, backslashes, line ends, control characters and more than ASCII: the before-image is exact.
fn awkward_values_survive_in_the_log(database: &TestDatabase) {
    migrate(database);
    let awkward = "a\"b\\N\t\r\n\u{1}\u{7f}' — e\u{301}\u{1F600} \u{202e}";
    project(database, 1, "self_study", SELF_STUDY);
    row(database, 1, SelfStudy, &[awkward, "daily"]);
    repaired(database, Direction::Legacy);
    assert_eq!(log(database)[0].2["goal_description"], awkward);
}

/// Gives the tables Django's pointers at subtype rows, with a foreign key as Django makes it.
pub(super) fn add_pointers(database: &TestDatabase) {
    let id = database.either("uuid", "char(32)");
    for (column, table) in
        [("school_project_id", School.table()), ("self_study_project_id", SelfStudy.table())]
    {
        database.execute(&format!(
            "ALTER TABLE projects_project ADD COLUMN {column} {id} REFERENCES {table} (project_id) \
             DEFERRABLE INITIALLY DEFERRED"
        ));
    }
}

fn an_own_pointer_is_cleared(database: &TestDatabase) {
    migrate(database);
    add_pointers(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, School, &SCHOOL_ROW);
    row(database, 1, SelfStudy, &["", ""]);
    database.execute("UPDATE projects_project SET self_study_project_id = id, school_project_id = id");
    let repair = repaired(database, Direction::Legacy);
    let expected = [(Change::ClearPointer, SelfStudy, 1), (Change::DeleteRow, SelfStudy, 1)];
    assert_eq!(changes(&repair.changed), expected);
    assert_eq!(database.count("projects_project WHERE self_study_project_id IS NULL"), 1);
    assert_eq!(database.count("projects_project WHERE school_project_id = id"), 1, "it may stay");
    let log = log(database);
    assert_eq!((log[0].0.as_str(), log[0].1.as_str()), ("clear_pointer", "projects_project"));
    let pointer = log[0].2["self_study_project_id"].as_str().unwrap().replace('-', "");
    assert_eq!(pointer, id(1).hex());
}

fn plant_2500(database: &TestDatabase) {
    migrate(database);
    let mut sql = String::from("BEGIN;");
    for number in 0..2_500 {
        sql += &crate::verify::rig::project_sql(number, "school", false, SCHOOL);
        sql += &crate::verify::rig::row_sql(number, School, &["drifted", "P1", "Curie"]);
    }
    database.execute(&format!("{sql} COMMIT;"));
}

fn stopped_behind_a_chunk_it_goes_on_with_a_new_plan(database: &TestDatabase) {
    plant_2500(database);
    let options = RepairOptions::new(Direction::Legacy, planned(database, Direction::Legacy).digest);
    let stop = options.stop.clone();
    let mut told = Vec::new();
    let stopped =
        execute(&mut open(database, Access::Write), &options, &mut stop_behind_a_chunk(&stop, &mut told));
    let Execution::Stopped(repair) = stopped.unwrap() else { panic!("not stopped") };
    assert_eq!(told, ["Begun { of: 2500 }", "Committed { done: 1000 }"]);
    assert_eq!((repair.changed.total(), repair.chunks, repair.settled), (1_000, 1, 0));
    assert_eq!(database.count("sti_repair_log"), 1_000);
    assert_eq!(repaired(database, Direction::Legacy).changed.total(), 1_500);
    assert_eq!(database.count("sti_repair_log"), 2_500);
    assert!(verified(database).is_clean());
}

fn more_projects_than_a_chunk_holds(database: &TestDatabase) {
    plant_2500(database);
    let repair = repaired(database, Direction::Legacy);
    assert_eq!(changes(&repair.changed), [(Change::UpdateRow, School, 2_500)]);
    assert_eq!(repair.chunks, 3);
    assert_eq!(database.count("sti_repair_log"), 2_500);
    assert!(verified(database).is_clean());
}

fn nothing_to_do_is_no_change(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, School, &SCHOOL_ROW);
    for direction in [Direction::Legacy, Direction::Subtype] {
        let repair = repaired(database, direction);
        assert_eq!((repair.chunks, repair.changed.total()), (0, 0));
    }
    assert_eq!(database.count("sti_repair_log"), 0);
}
