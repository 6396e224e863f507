//! Repairs that do not begin, or end on the way.

use sti_core::both_backends;
use sti_core::db::Access;
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;
use sti_core::verify::repair::{Direction, Execution, Pointer, Refusal, RepairError, RepairOptions, execute};

use super::cases::add_pointers;
use super::{planned, repaired, row_of};
use crate::verify::rig::{
    NOTHING, SCHOOL, SCHOOL_ROW, SELF_STUDY, SELF_STUDY_ROW, id, migrate, open, orphan, project, row,
};

both_backends! {
    another_plan, a_plan_of_the_other_direction, a_foreign_pointer, a_foreign_pointer_at_an_orphan,
    a_database_without_the_log,
}

fn try_execute(database: &TestDatabase, options: &RepairOptions) -> Result<Execution, RepairError> {
    execute(&mut open(database, Access::Write), options, &mut |_| ())
}

fn plant_drift(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, School, &["drifted", "P1", "Curie"]);
}

fn untouched(database: &TestDatabase) {
    assert_eq!(row_of(database, 1, School).unwrap(), ["drifted", "P1", "Curie"]);
    assert_eq!(database.count("sti_repair_log"), 0);
}

fn another_plan(database: &TestDatabase) {
    plant_drift(database);
    let old = planned(database, Direction::Legacy);
    project(database, 2, "self_study", SELF_STUDY);
    row(database, 2, SelfStudy, &["", ""]);
    let refused = try_execute(database, &RepairOptions::new(Direction::Legacy, old.digest.clone())).unwrap();
    let Execution::Refused { refusal: Refusal::AnotherPlan { given }, plan } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(given, old.digest);
    assert_ne!(plan.digest, old.digest);
    assert_eq!(plan.changes.total(), 2, "the plan of now is shown");
    untouched(database);
}

fn a_plan_of_the_other_direction(database: &TestDatabase) {
    plant_drift(database);
    let plan = planned(database, Direction::Legacy);
    let refused = try_execute(database, &RepairOptions::new(Direction::Subtype, plan.digest)).unwrap();
    assert!(matches!(refused, Execution::Refused { refusal: Refusal::AnotherPlan { .. }, .. }));
    untouched(database);
}

fn a_foreign_pointer(database: &TestDatabase) {
    plant_drift(database);
    add_pointers(database);
    row(database, 1, SelfStudy, &["", ""]);
    project(database, 2, "", NOTHING);
    let point = format!("UPDATE projects_project SET self_study_project_id = '{}'", id(1).hex());
    database.execute(&format!("{point} WHERE name = 'p2'"));
    for direction in [Direction::Legacy, Direction::Subtype] {
        let plan = planned(database, direction);
        let pointer = Pointer { from: id(2), to: id(1), kind: SelfStudy };
        assert_eq!(plan.pointers, [pointer]);
        let refused = try_execute(database, &RepairOptions::new(direction, plan.digest)).unwrap();
        assert!(matches!(refused, Execution::Refused { refusal: Refusal::Pointers, .. }), "{refused:?}");
        untouched(database);
    }
}

fn a_foreign_pointer_at_an_orphan(database: &TestDatabase) {
    plant_drift(database);
    add_pointers(database);
    orphan(database, 3, School, &SCHOOL_ROW);
    database.execute(&format!("UPDATE projects_project SET school_project_id = '{}'", id(3).hex()));
    assert_eq!(planned(database, Direction::Legacy).pointers.len(), 1);
    assert!(planned(database, Direction::Subtype).pointers.is_empty(), "there an orphan stays");
}

/// The pointer comes after the plan, before the chunk's transaction begins to look. (On SQLite nobody can write by
/// then.)
#[test]
fn a_foreign_pointer_that_came_on_the_way() {
    let database = &TestDatabase::postgres();
    plant_drift(database);
    add_pointers(database);
    row(database, 1, SelfStudy, &SELF_STUDY_ROW);
    project(database, 2, "", NOTHING);
    let point =
        format!("UPDATE projects_project SET self_study_project_id = '{}' WHERE name = 'p2'", id(1).hex());
    let mut options = RepairOptions::new(Direction::Legacy, planned(database, Direction::Legacy).digest);
    let url = database.url().to_owned();
    options.probe = Probe::new(move |step| {
        if step == Step::Lock {
            run(&url, &point);
        }
    });
    let Execution::Done(repair) = try_execute(database, &options).unwrap() else { panic!("refused") };
    assert_eq!(repair.stopped_by, [Pointer { from: id(2), to: id(1), kind: SelfStudy }]);
    assert_eq!((repair.chunks, repair.changed.total()), (0, 0));
    untouched(database);
}

fn run(url: &str, sql: &str) {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;
    diesel::PgConnection::establish(url).unwrap().batch_execute(sql).unwrap();
}

fn a_database_without_the_log(database: &TestDatabase) {
    plant_drift(database);
    let plan = planned(database, Direction::Legacy);
    database.execute("ALTER TABLE sti_repair_log RENAME TO elsewhere");
    let error = try_execute(database, &RepairOptions::new(Direction::Legacy, plan.digest)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table sti_repair_log does not exist, and nothing is repaired without it: run `sti-migrate up`"
    );
    database.execute("ALTER TABLE elsewhere RENAME TO sti_repair_log");
    untouched(database);
    repaired(database, Direction::Legacy);
}
