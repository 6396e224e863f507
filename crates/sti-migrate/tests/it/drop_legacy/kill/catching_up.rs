//! `kill -9` while the drop works off what was written behind its snapshot: what the round has done is rolled back or
//! committed, no drop comes of it, and the next one archives the values of today. PostgreSQL only.

use sti_core::test_support::TestDatabase;

use super::super::rig::{ARCHIVING, DROP, archived, digest, drop_legacy, json, legacy, ready, state};
use super::start;
use crate::held::{Gate, Held, kill, wait_until, wait_until_gone};
use crate::rig::on;

const fn held(table: &'static str, event: &'static str) -> Held {
    Held { table, event, condition: "true", at_commit: false }
}

/// A service in dual mode writes project 1 so often.
fn write(database: &TestDatabase, times: u32) {
    database.execute(&format!(
        "DO $$ BEGIN FOR turn IN 1..{times} LOOP \
            UPDATE projects_project SET course_name = 'turn ' || turn WHERE id = '{0:032}'; \
            UPDATE projects_schoolproject SET course_name = 'turn ' || turn WHERE project_id = '{0:032}'; \
         END LOOP; END $$",
        1
    ));
}

/// Whoever comes next: `up` takes everything away; a drop archives the values of now.
fn goes_on(database: &TestDatabase, before: &[String]) {
    let values = legacy(database);
    assert_eq!(database.count("sti_drop_event"), 0);
    let status = json(&mut on(database, &["status"]), 0);
    assert_eq!((&status["drop_at_work"], &status["drops"]), (&false.into(), &serde_json::json!([])));
    assert_ne!(status["left_behind"], serde_json::json!([]));
    json(&mut on(database, &["up"]), 0);
    assert_eq!(state(database), before);
    let arguments = ["--execute", "--confirm", &digest(database)];
    assert_eq!(json(&mut drop_legacy(database, &arguments), 0)["outcome"], "done");
    assert_eq!((archived(database), database.count("sti_legacy_archive")), (values, 5));
    assert!(state(database).contains(&"triggers: 0".to_owned()));
}

/// What [`state`] must be when the drop was not made and nothing of it is left: as before it, but with what was
/// written meanwhile.
fn expected(times: u32) -> Vec<String> {
    let database = TestDatabase::postgres();
    ready(&database);
    write(&database, times);
    state(&database)
}

fn kill_in_a_round(at: Held) {
    let database = TestDatabase::postgres();
    ready(&database);
    let snapshot = Gate::at(&database, "snapshot", ARCHIVING);
    let round = Gate::at(&database, "round", at);
    let plan = digest(&database);
    let mut child = start(&database, &plan);
    snapshot.reached(DROP);
    write(&database, 1);
    snapshot.open();
    round.reached(DROP);
    kill(&mut child);
    round.open();
    wait_until_gone(&database, DROP);
    snapshot.remove();
    round.remove();
    goes_on(&database, &expected(1));
}

#[test]
fn while_taking_the_entries() {
    kill_in_a_round(held("sti_change_log", "BEFORE UPDATE"));
}

#[test]
fn while_archiving_anew() {
    kill_in_a_round(held("sti_legacy_archive", "BEFORE DELETE"));
}

#[test]
fn while_deleting_the_entries() {
    kill_in_a_round(held("sti_change_log", "BEFORE DELETE"));
}

/// After a round that took many entries; they are gone, and what was archived anew is committed.
#[test]
fn while_giving_back_the_room_of_the_entries() {
    let database = TestDatabase::postgres();
    ready(&database);
    // So slow that it can be met at it.
    for setting in ["vacuum_cost_delay = 100", "vacuum_cost_limit = 1"] {
        database.execute(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', current_database()); END $$"
        ));
    }
    let snapshot = Gate::at(&database, "snapshot", ARCHIVING);
    let plan = digest(&database);
    let mut child = start(&database, &plan);
    snapshot.reached(DROP);
    write(&database, 600);
    snapshot.open();
    wait_until("it rests while it vacuums", || {
        database.count(&format!(
            "pg_stat_activity WHERE application_name = '{DROP}' AND datname = current_database() \
             AND query LIKE 'VACUUM%' AND wait_event = 'VacuumDelay'"
        )) > 0
    });
    kill(&mut child);
    wait_until_gone(&database, DROP);
    snapshot.remove();
    goes_on(&database, &expected(600));
}
