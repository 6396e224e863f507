//! What a repair locks, and what it does when it does not get a lock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use sti_core::db::Access;
use sti_core::models::Kind::School;
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;
use sti_core::verify::repair::{Direction, Execution, RepairError, RepairOptions, execute};

use super::{planned, repaired, row_of};
use crate::verify::rig::{SCHOOL, migrate, open, project, row};

fn drifted(database: &TestDatabase) -> RepairOptions {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, School, &["drifted", "P1", "Curie"]);
    RepairOptions::new(Direction::Legacy, planned(database, Direction::Legacy).digest)
}

#[test]
fn on_sqlite_nobody_writes_between_two_statements() {
    let database = TestDatabase::sqlite();
    let mut options = drifted(&database);
    let path = database.path().unwrap().to_str().unwrap().to_owned();
    let tried: Arc<Mutex<Vec<(Step, String)>>> = Arc::default();
    let shared = Arc::clone(&tried);
    options.probe = Probe::new(move |step| {
        let mut writer = SqliteConnection::establish(&path).unwrap();
        let written = writer.batch_execute("UPDATE projects_project SET course_name = 'between'");
        shared.lock().unwrap().push((step, written.unwrap_err().to_string()));
    });
    let done = execute(&mut open(&database, Access::Write), &options, &mut |_| ()).unwrap();
    assert!(matches!(done, Execution::Done(repair) if repair.changed.total() == 1));
    let steps = [Step::Lock, Step::Look, Step::Record, Step::Write, Step::Commit];
    assert_eq!(*tried.lock().unwrap(), steps.map(|step| (step, "database is locked".to_owned())));
    assert_eq!(row_of(&database, 1, School).unwrap()[0], "Physics");
}

/// The application's session keeps its lock, whatever the repair has to wait; the repair gives up and says so.
#[test]
fn a_lock_that_is_not_to_be_had_stops_the_repair_and_not_the_application() {
    let database = TestDatabase::postgres();
    let mut options = drifted(&database);
    options.lock_limit = Duration::from_millis(20);
    let mut application = PgConnection::establish(database.url()).unwrap();
    application.batch_execute("BEGIN; UPDATE projects_project SET name = 'held'").unwrap();
    let error = execute(&mut open(&database, Access::Write), &options, &mut |_| ()).unwrap_err();
    assert!(matches!(error, RepairError::Stopped { chunks: 0, .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "locking projects_project: canceling statement due to lock timeout; committed before: 0 changes in 0 chunks \
         (sti_repair_log has the before-images); run sti-verify to see what is left"
    );
    application.batch_execute("COMMIT").unwrap();
    assert_eq!(database.value("SELECT name FROM projects_project"), "held");
    assert_eq!(row_of(&database, 1, School).unwrap()[0], "drifted");
    repaired(&database, Direction::Legacy);
}
