//! Backing out: the subtype tables are emptied, and no value goes with them.

use std::sync::{Arc, Mutex};

use sti_core::ChunkEvent;
use sti_core::backfill::StopSignal;
use sti_core::both_backends;
use sti_core::contract::back_out::{BackOut, BackOutError, BackOutOptions, BackOutPlan, BackedOut, Obstacle};
use sti_core::contract::back_out::{execute, plan};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::models::PerKind;
use sti_core::probe::{Probe, Sabotage, Step};
use sti_core::test_support::postgres::{Cut, CuttingProxy};
use sti_core::test_support::{RowSetDigest, Session, TestDatabase};
use sti_core::verify::VerifyError;

use crate::backfill::rig::stop_behind_a_chunk;
use crate::repository::rig::{LEGACY, add_pointers, id, insert, insert_row, migrate, owner, row, texts};
use crate::restore::rig::{drop_by_hand, finished, restored};

both_backends! {
    both_tables_are_emptied_and_the_legacy_columns_stay,
    a_value_that_only_a_row_holds_is_a_refusal,
    a_pointer_is_a_refusal,
    refused_after_a_drop_and_while_it_is_taken_back,
    a_backfill_at_work_is_a_refusal_and_a_stopped_one_is_given_up,
    another_digest_is_a_refusal,
    without_the_tables_it_says_what_to_do,
    stopped_behind_a_chunk_it_goes_on_with_a_new_plan,
    asked_before_it_begins_it_changes_nothing,
    a_backfill_that_begins_on_the_way_ends_it,
}

fn plant(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"), None, Some(""), Some("stray"), None]);
    insert_row(database, School, 1, &["a", "", ""]);
    insert(database, 2, "self_study", [None, None, None, Some("goal"), None]);
    insert_row(database, SelfStudy, 2, &["goal", ""]);
    insert(database, 3, "school", [None; 5]);
}

fn planned(database: &TestDatabase) -> BackOutPlan {
    plan(&mut owner(database)).unwrap()
}

fn try_back_out(database: &TestDatabase, probe: Probe) -> Result<BackOut, BackOutError> {
    let options = BackOutOptions { confirm: planned(database).digest, probe, ..BackOutOptions::default() };
    execute(&mut || Ok(owner(database)), &options, &mut |_| ())
}

#[track_caller]
fn backed_out(database: &TestDatabase) -> BackedOut {
    match try_back_out(database, Probe::default()).unwrap() {
        BackOut::Done(done) => done,
        BackOut::Refused(plan) => panic!("refused: {:?}", plan.blockers),
        BackOut::Stopped(done) => panic!("stopped: {done:?}"),
    }
}

/// What stands in the way, each with its number; nothing was changed.
#[track_caller]
fn refused(database: &TestDatabase) -> Vec<(Obstacle, i64)> {
    let before = rows(database);
    let BackOut::Refused(plan) = try_back_out(database, Probe::default()).unwrap() else {
        panic!("not refused");
    };
    assert_eq!(rows(database), before);
    plan.blockers.iter().map(|blocker| (blocker.obstacle, blocker.count)).collect()
}

fn rows(database: &TestDatabase) -> [RowSetDigest; 2] {
    [School, SelfStudy].map(|kind| database.digest(kind.table(), "project_id", kind.columns()))
}

fn both_tables_are_emptied_and_the_legacy_columns_stay(database: &TestDatabase) {
    plant(database);
    let before = database.digest("projects_project", "id", &LEGACY);
    let done = backed_out(database);
    assert_eq!(done.deleted, PerKind { school: 1, self_study: 1 });
    assert!(done.is_complete());
    assert_eq!((done.plan.projects, done.plan.rows), (3, PerKind { school: 1, self_study: 1 }));
    assert_eq!(rows(database), [RowSetDigest::default(); 2]);
    assert_eq!(database.digest("projects_project", "id", &LEGACY), before);
    assert!(backed_out(database).is_complete(), "again, with nothing to do");
}

fn a_value_that_only_a_row_holds_is_a_refusal(database: &TestDatabase) {
    plant(database);
    database.execute("UPDATE projects_schoolproject SET teacher_name = 'only here'");
    // Who emptied a field has said something too.
    database.execute("UPDATE projects_selfstudyproject SET goal_description = ''");
    assert_eq!(refused(database), [(Obstacle::Differs(School), 1), (Obstacle::Differs(SelfStudy), 1)]);
    assert_eq!(planned(database).blockers[0].ids, [id(1)]);
    database.execute(
        "UPDATE projects_schoolproject SET teacher_name = ''; \
         UPDATE projects_selfstudyproject SET goal_description = 'goal'",
    );
    // A row of the wrong kind that holds what the columns of that kind hold.
    insert_row(database, SelfStudy, 1, &["stray", ""]);
    assert!(backed_out(database).is_complete());
}

fn a_pointer_is_a_refusal(database: &TestDatabase) {
    plant(database);
    add_pointers(database);
    let one = id(1).hex();
    database.execute(&format!("UPDATE projects_project SET school_project_id = '{one}' WHERE id = '{one}'"));
    assert_eq!(refused(database), [(Obstacle::Pointers(School), 1)]);
    database.execute("UPDATE projects_project SET school_project_id = NULL");
    assert!(backed_out(database).is_complete());
}

/// The triggers of a restore would take the legacy values along with the rows.
fn refused_after_a_drop_and_while_it_is_taken_back(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    assert_eq!(refused(database), [(Obstacle::ColumnsMissing, 1)]);
    restored(database);
    assert_eq!(refused(database), [(Obstacle::Restoring, 1)]);
    finished(database);
    let before = database.digest("projects_project", "id", &LEGACY);
    assert!(backed_out(database).is_complete());
    assert_eq!(database.digest("projects_project", "id", &LEGACY), before);
}

fn a_backfill_at_work_is_a_refusal_and_a_stopped_one_is_given_up(database: &TestDatabase) {
    plant(database);
    database.execute(
        "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, tool_version, \
             started_by) VALUES ('active', false, 1, 3, '2026-01-02 03:04:05', 'test', 'host:1'); \
         INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, lease_expires_at) \
         SELECT id, 1, 1, 'ffffffffffffffffffffffffffffffff', 'leased', 't', 'host:1', '2999-01-02 03:04:05' \
         FROM sti_backfill_run",
    );
    assert_eq!(refused(database), [(Obstacle::Backfill, 1)]);
    database.execute("UPDATE sti_backfill_chunk SET lease_expires_at = '2026-01-02 03:04:05'");
    assert_eq!(planned(database).gives_up_run, Some(1));
    assert!(backed_out(database).is_complete());
    assert_eq!(
        database.column("stop_reason", "FROM sti_backfill_run WHERE state = 'abandoned'"),
        [Some("given up by sti-migrate back-out".to_owned())]
    );
}

fn another_digest_is_a_refusal(database: &TestDatabase) {
    plant(database);
    let old = planned(database).digest;
    insert(database, 4, "school", [None; 5]);
    insert_row(database, School, 4, &["", "", ""]);
    let options = BackOutOptions { confirm: old, ..BackOutOptions::default() };
    let BackOut::Refused(plan) = execute(&mut || Ok(owner(database)), &options, &mut |_| ()).unwrap() else {
        panic!("done")
    };
    assert!(plan.blockers.is_empty());
    assert_ne!(plan.digest, options.confirm);
    assert_eq!(database.count("projects_schoolproject"), 2);
}

fn without_the_tables_it_says_what_to_do(database: &TestDatabase) {
    let error = plan(&mut owner(database)).unwrap_err();
    assert!(
        matches!(error, BackOutError::Verify(VerifyError::NoTable { table: "projects_project" })),
        "{error}"
    );
}

/// Another writer at every step: what it wrote is there afterwards. Without the locks it is not.
#[test]
fn a_value_that_comes_meanwhile_is_not_lost() {
    let lost = |sabotage| -> Vec<Step> {
        let steps = [Step::Lock, Step::Look, Step::Write, Step::Commit];
        steps.into_iter().filter(|step| is_lost(*step, sabotage)).collect()
    };
    assert_eq!(lost(Sabotage::None), []);
    assert_ne!(lost(Sabotage::Lock), []);
}

fn is_lost(step: Step, sabotage: Sabotage) -> bool {
    let database = Arc::new(TestDatabase::postgres());
    plant(&database);
    let writer = Arc::new(Mutex::new((Session::open(&database, "writer"), false)));
    let (of_probe, seen_by_probe) = (Arc::clone(&writer), Arc::clone(&database));
    let probe = Probe::new(move |at| {
        let mut writer = of_probe.lock().unwrap();
        if at == step && !writer.1 {
            writer.1 = true;
            // It knows nothing of locks.
            writer.0.start(&format!(
                "INSERT INTO projects_schoolproject VALUES ('{}', 'new', '', '') ON CONFLICT (project_id) \
                 DO UPDATE SET course_name = 'new'",
                id(1).hex()
            ));
            let _ = writer.0.comes_to_wait(&seen_by_probe);
        }
    })
    .with_sabotage(sabotage);
    let done = try_back_out(&database, probe).unwrap();
    writer.lock().unwrap().0.finish().unwrap();
    let left = row(&database, School, id(1));
    if sabotage == Sabotage::None {
        let BackOut::Done(done) = done else { panic!("refused") };
        // It came before the look, or after the end.
        assert_eq!(
            done.stopped_by.map(|by| by.obstacle),
            (step == Step::Lock).then_some(Obstacle::Differs(School))
        );
    }
    left != Some(texts(&["new", "", ""]))
}

/// What became of a chunk whose COMMIT has no answer is looked up, and each row is counted once.
#[test]
fn a_lost_commit_is_looked_up() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let database = &TestDatabase::postgres();
        plant(database);
        let options = BackOutOptions { confirm: planned(database).digest, ..BackOutOptions::default() };
        let marker = "DELETE FROM projects_schoolproject";
        let through = |proxy: &CuttingProxy| {
            let url = DatabaseUrl::parse(proxy.url()).unwrap();
            execute(&mut || connect(&url, Access::Write, "back-out"), &options, &mut |_| ())
        };
        if cut == Cut::BeforeCommit {
            let proxy = CuttingProxy::before_and_unreachable_afterwards(database, marker, cut);
            let error = through(&proxy).unwrap_err();
            assert!(matches!(error, BackOutError::Unknown { .. }), "{error:?}");
        }
        let proxy = CuttingProxy::before(database, marker, cut);
        let BackOut::Done(done) = through(&proxy).unwrap() else { panic!("refused") };
        assert!(proxy.has_cut() && done.is_complete(), "{cut:?}: {done:?}");
        assert_eq!((done.deleted.school, done.deleted.self_study), (1, 1), "{cut:?}");
    }
}

const ACTIVE_RUN: &str = "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, \
     tool_version, started_by) VALUES ('active', false, 1, 3, '2026-01-02 03:04:05', 'test', 'host:1')";

/// Whatever it waits for at the moment: it would make the rows anew.
fn a_backfill_that_begins_on_the_way_ends_it(database: &TestDatabase) {
    plant_more(database);
    let options = BackOutOptions { confirm: planned(database).digest, ..BackOutOptions::default() };
    let done = execute(&mut || Ok(owner(database)), &options, &mut |event| {
        if matches!(event, ChunkEvent::Committed { .. }) {
            database.execute(ACTIVE_RUN);
        }
    });
    let BackOut::Done(done) = done.unwrap() else { panic!("not begun") };
    assert_eq!(done.stopped_by.map(|blocker| blocker.obstacle), Some(Obstacle::Backfill));
    assert_eq!((done.deleted.total(), done.left.total()), (1000, 502));
}

/// 1,500 rows more than [`plant`] has: more than a chunk of one kind.
fn plant_more(database: &TestDatabase) {
    plant(database);
    let more: String = (10..1510)
        .map(|number| {
            crate::verify::rig::project_sql(number, "school", false, crate::verify::rig::SCHOOL)
                + &crate::verify::rig::row_sql(number, School, &crate::verify::rig::SCHOOL_ROW)
        })
        .collect();
    database.execute(&format!("BEGIN; {more} COMMIT"));
}

fn stopped_behind_a_chunk_it_goes_on_with_a_new_plan(database: &TestDatabase) {
    plant_more(database);
    database.execute(ACTIVE_RUN);
    let before = database.digest("projects_project", "id", &LEGACY);
    let mut options = BackOutOptions { confirm: planned(database).digest, ..BackOutOptions::default() };
    let stop = options.stop.clone();
    let mut told = Vec::new();
    let stopped = execute(&mut || Ok(owner(database)), &options, &mut stop_behind_a_chunk(&stop, &mut told));
    let BackOut::Stopped(done) = stopped.unwrap() else { panic!("not stopped") };
    assert_eq!(told, ["Begun { of: 1502 }", "Committed { done: 1000 }"]);
    assert_eq!(done.deleted, PerKind { school: 1000, self_study: 0 });
    assert_eq!(done.left, PerKind { school: 501, self_study: 1 });
    assert_eq!(done.gave_up_run, Some(1));
    assert!(!done.is_complete());
    options.stop = StopSignal::default();
    let again = execute(&mut || Ok(owner(database)), &options, &mut |_| ()).unwrap();
    assert!(matches!(again, BackOut::Refused(_)), "the plan is another one now: {again:?}");
    let rest = backed_out(database);
    assert_eq!((rest.deleted.total(), rest.left.total()), (502, 0));
    assert_eq!(database.digest("projects_project", "id", &LEGACY), before);
}

fn asked_before_it_begins_it_changes_nothing(database: &TestDatabase) {
    plant(database);
    database.execute(ACTIVE_RUN);
    let before = rows(database);
    let options = BackOutOptions { confirm: planned(database).digest, ..BackOutOptions::default() };
    options.stop.stop();
    let stopped = execute(&mut || Ok(owner(database)), &options, &mut |_| ()).unwrap();
    let BackOut::Stopped(done) = stopped else { panic!("not stopped: {stopped:?}") };
    assert_eq!((done.deleted.total(), done.gave_up_run), (0, None));
    assert_eq!(rows(database), before);
    assert_eq!(database.count("sti_backfill_run WHERE state = 'active'"), 1);
}
