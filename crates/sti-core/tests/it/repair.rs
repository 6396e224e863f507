//! Repair: both directions, refusals, the fixture, and other writers between any two of its statements.

mod cases;
mod django;
mod interleaving;
mod locks;
mod refusals;

use serde_json::Value;
use sti_core::db::Access;
use sti_core::models::Kind;
use sti_core::test_support::TestDatabase;
use sti_core::verify::repair::{
    Change, ChangeCounts, Direction, Execution, Repair, RepairOptions, RepairPlan, execute, plan,
};

use crate::verify::rig::open;

/// The plan of now.
pub(crate) fn planned(database: &TestDatabase, direction: Direction) -> RepairPlan {
    plan(&mut open(database, Access::Read), direction, 2).unwrap()
}

/// Plans, confirms and executes.
#[track_caller]
fn repaired(database: &TestDatabase, direction: Direction) -> Repair {
    let plan = planned(database, direction);
    let options = RepairOptions::new(direction, plan.digest.clone());
    match execute(&mut open(database, Access::Write), &options, &mut |_| ()).unwrap() {
        Execution::Done(repair) => {
            assert_eq!(repair.changed, plan.changes, "what was planned was done");
            assert_eq!(repair.plan.digest, plan.digest);
            repair
        }
        Execution::Refused { refusal, .. } => panic!("refused: {refusal:?}"),
        Execution::Stopped(repair) => panic!("stopped: {repair:?}"),
    }
}

/// The changes that are not 0.
fn changes(counts: &ChangeCounts) -> Vec<(Change, Kind, i64)> {
    let each = counts.iter().flat_map(|(change, of)| Kind::ALL.map(|kind| (change, kind, of.of(kind))));
    each.filter(|(_, _, count)| *count > 0).collect()
}

/// The log: action, table, and the before-image as JSON.
fn log(database: &TestDatabase) -> Vec<(String, String, Value)> {
    database
        .select(&["action", "table_name", "before_image"], "FROM sti_repair_log ORDER BY project_id, id")
        .into_iter()
        .map(|row| {
            let [action, table, image] = row.try_into().unwrap();
            let image = image.map_or(Value::Null, |image| serde_json::from_str(&image).unwrap());
            (action.unwrap(), table.unwrap(), image)
        })
        .collect()
}

/// The five legacy values of a project.
fn legacy_of(database: &TestDatabase, number: u32) -> Vec<Option<String>> {
    let columns = ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];
    let rest = format!("FROM projects_project WHERE id = '{}'", crate::verify::rig::id(number).hex());
    database.select(&columns, &rest).remove(0)
}

/// The values of a project's subtype row, if it is there.
fn row_of(database: &TestDatabase, number: u32, kind: Kind) -> Option<Vec<String>> {
    let id = crate::verify::rig::id(number).hex();
    let rest = format!("FROM {} WHERE project_id = '{id}'", kind.table());
    let row = database.select(kind.columns(), &rest).pop()?;
    Some(row.into_iter().flatten().collect())
}
