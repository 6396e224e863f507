//! The triggers through the rollout: before and after a backfill, through the drop, beside a restore and a back-out.

use sti_core::backfill::{Ending, Scope};
use sti_core::contract::back_out::{Obstacle, plan as back_out_plan};
use sti_core::contract::restore::{Attempts, RestoreError};
use sti_core::contract::{Gate, Rehearsal, Verdict};
use sti_core::models::Kind::School;
use sti_core::sync::{Install, Remove, remove};
use sti_core::test_support::TestDatabase;

use super::rig::{
    assert_level, both_schemas, insert_sql, installed, only, ours, problems, removed, run, save_sql,
    try_install, try_run,
};
use crate::backfill::rig::{config, run as backfill};
use crate::contract::rig::{columns_left, dropped, options, planned, rehearsed, verdict, waiving};
use crate::repository::rig::{add_columns, owner, texts};
use crate::restore::rig::{chunks_of, try_restore};

both_schemas! {
    installed_once_is_enough,
    without_them_a_writer_leaves_rows_behind,
    the_drop_takes_them_along,
    a_back_out_waits_until_they_are_gone,
}

fn installed_once_is_enough(database: &TestDatabase) {
    assert_eq!(problems(database), Some(Vec::new()));
    assert_eq!(try_install(database).unwrap(), Install::Already);
    removed(database);
    assert_eq!(problems(database), None);
    assert_eq!(database.count("pg_proc WHERE proname = 'sti_sync'"), 0);
    let again = remove(&mut || Ok(owner(database)), Attempts::default(), &mut |_| {}).unwrap();
    assert_eq!(again, Remove::Nothing);
    assert_eq!(installed(database), Vec::<String>::new());
}

fn without_them_a_writer_leaves_rows_behind(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    removed(database);
    run(database, &save_sql(1, "school", [Some("b"), None, None, None, None]));
    assert_eq!(only(database, School, 1), texts(&["a", "", ""]));
    let error =
        try_run(database, "DELETE FROM projects_project WHERE id = '00000000-0000-0000-0000-000000000001'");
    assert!(error.unwrap_err().contains("violates foreign key constraint"));
}

fn the_drop_takes_them_along(database: &TestDatabase) {
    run(database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    let first = planned(database, &options());
    let found = |gate| first.gate(gate).unwrap().found;
    let waivers = [Gate::UnknownType, Gate::StrayValues].map(|gate| format!("{gate}={}", found(gate)));
    let options = waiving(&waivers.each_ref().map(String::as_str));
    let plan = planned(database, &options);
    assert_eq!(verdict(&plan, Gate::Dependents), Verdict::Pass);
    assert_eq!(
        plan.gate(Gate::Dependents).unwrap().evidence,
        [
            "the sync triggers go with the columns: a writer that relies on them writes the legacy columns only, no gate \
          can see it behind them, and it fails once the columns are gone"
        ]
    );
    assert!(matches!(rehearsed(database, &options), Rehearsal::Rehearsed { .. }));
    assert_eq!(problems(database), Some(Vec::new()), "a rehearsal takes nothing away");
    dropped(database, &options);
    assert_eq!(columns_left(database), 0);
    assert_eq!(problems(database), None);
    assert_eq!(database.count("pg_proc WHERE proname = 'sti_sync'"), 0);
}

fn a_back_out_waits_until_they_are_gone(database: &TestDatabase) {
    let obstacles = |database: &TestDatabase| -> Vec<Obstacle> {
        let plan = back_out_plan(&mut owner(database)).unwrap();
        plan.blockers.iter().map(|blocker| blocker.obstacle).collect()
    };
    assert!(obstacles(database).contains(&Obstacle::SyncTriggers));
    removed(database);
    assert!(!obstacles(database).contains(&Obstacle::SyncTriggers));
}

/// The order of the rollout where a legacy-only writer stays: the triggers first, then the backfill; whatever is written
/// before is filled by it, whatever comes after by the triggers.
#[test]
fn the_triggers_and_then_a_backfill() {
    let database = TestDatabase::postgres();
    crate::repository::rig::migrate(&database);
    run(&database, &insert_sql(1, "school", [Some("before"), None, None, None, None]));
    installed(&database);
    run(&database, &insert_sql(2, "school", [Some("after"), None, None, None, None]));
    let done = backfill(&database, &config(10, Scope::All)).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!((done.totals.created.school, done.totals.equal.school), (1, 1));
    run(&database, &save_sql(1, "school", [Some("changed"), None, None, None, None]));
    assert_eq!(only(&database, School, 1), texts(&["changed", "", ""]));
    assert_level(&database);
}

/// They cannot come there by our commands; somebody restored them from a dump, say.
#[test]
fn a_restore_is_refused_beside_them() {
    let database = ours();
    run(&database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    let kept = database.column(
        "statement",
        "FROM (SELECT pg_get_functiondef('public.sti_sync()'::regprocedure) AS statement UNION ALL \
         SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE '%sti_sync%') s",
    );
    dropped(&database, &options());
    add_columns(&database);
    for statement in kept.iter().flatten() {
        database.execute(statement);
    }
    assert!(problems(&database).is_some());
    let error = try_restore(&database, &chunks_of(10)).unwrap_err();
    assert!(matches!(error, RestoreError::SyncTriggers), "{error}");
    assert_eq!(database.count("sti_drop_event WHERE restore_began_at IS NOT NULL"), 0);
    removed(&database);
    crate::restore::rig::restored(&database);
}
