//! What the tests of the drop share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sti_core::contract::{
    ContractError, DropOptions, DropPlan, Dropped, Gate, Outcome, Progress, Rehearsal, Retry, Verdict,
    execute, plan, rehearse,
};
use sti_core::db::{Access, AnyConnection, ConnectError, DatabaseUrl, connect};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::{RowSetDigest, TestDatabase};

use crate::verify::rig::{
    NOTHING, SCHOOL, SCHOOL_ROW, SELF_STUDY, SELF_STUDY_ROW, draft, migrate, project, row,
};

pub(crate) const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];

pub(crate) fn open(database: &TestDatabase) -> AnyConnection {
    connector(database.url())().unwrap()
}

/// Opens connections as `sti-migrate` does.
pub(crate) fn connector(url: &str) -> impl FnMut() -> Result<AnyConnection, ConnectError> {
    let url = DatabaseUrl::parse(url).unwrap();
    move || connect(&url, Access::Write, "drop")
}

/// Options for a machine that may stand still for a while.
pub(crate) fn options() -> DropOptions {
    let mut options = DropOptions::default();
    options.max_lock = Duration::from_secs(60);
    options.attempts = 2;
    options
}

/// [`options`] with waivers, as on the command line.
pub(crate) fn waiving(waivers: &[&str]) -> DropOptions {
    options().waive(waivers.iter().map(|waiver| waiver.parse().unwrap())).unwrap()
}

/// A hook that does something the first time that it is called.
pub(crate) fn once(hook: impl FnOnce() + Send + 'static) -> impl Fn() + Send + Sync {
    let hook = Mutex::new(Some(hook));
    move || {
        let hook = hook.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
    }
}

/// A probe that calls `hook` once, at `step`.
pub(crate) fn once_at(step: Step, hook: impl FnOnce() + Send + 'static) -> Probe {
    let hook = once(hook);
    Probe::new(move |at| {
        if at == step {
            hook();
        }
    })
}

/// The steps of a drop that goes through at the first attempt.
pub(crate) fn steps(database: &TestDatabase) -> &'static [Step] {
    use Step::{
        Archive, Begin, CatchUp, CatchUpLook, Commit, Drop, Lock, Look, Prepare, Record, Snapshot, Write,
    };
    if database.backend_name() == "postgres" {
        &[
            Prepare,
            Snapshot,
            Archive,
            CatchUp,
            CatchUpLook,
            Begin,
            Lock,
            Look,
            CatchUpLook,
            Write,
            Drop,
            Record,
            Commit,
        ]
    } else {
        &[Begin, Lock, Look, Write, Drop, Record, Commit]
    }
}

/// Every step at which a probe was called.
pub(crate) fn recorder() -> (Probe, Arc<Mutex<Vec<Step>>>) {
    let steps: Arc<Mutex<Vec<Step>>> = Arc::default();
    let shared = Arc::clone(&steps);
    (Probe::new(move |step| shared.lock().unwrap().push(step)), steps)
}

/// A database whose two sides are equal: published projects and drafts of both kinds, and an empty draft without a
/// row.
pub(crate) fn ready(database: &TestDatabase) {
    migrate(database);
    project(database, 1, "school", SCHOOL);
    row(database, 1, School, &SCHOOL_ROW);
    project(database, 2, "self_study", SELF_STUDY);
    row(database, 2, SelfStudy, &SELF_STUDY_ROW);
    draft(database, 3, "school", SCHOOL);
    row(database, 3, School, &SCHOOL_ROW);
    draft(database, 4, "self_study", NOTHING);
}

pub(crate) fn planned(database: &TestDatabase, options: &DropOptions) -> DropPlan {
    plan(&mut open(database), options).unwrap()
}

/// The gates that refuse, or could not be asked.
pub(crate) fn shut(plan: &DropPlan) -> Vec<Gate> {
    plan.shut().map(|result| result.gate).collect()
}

pub(crate) fn verdict(plan: &DropPlan, gate: Gate) -> Verdict {
    plan.gate(gate).unwrap().verdict
}

/// Drops with the digest of the plan of now.
pub(crate) fn try_drop(database: &TestDatabase, options: &DropOptions) -> Result<Outcome, ContractError> {
    let digest = planned(database, options).digest;
    drop_with(database.url(), options, &digest)
}

pub(crate) fn drop_with(url: &str, options: &DropOptions, digest: &str) -> Result<Outcome, ContractError> {
    execute(&mut connector(url), options, digest, &mut |_| ())
}

/// Tells of the attempts that got no locks, and of nothing else.
pub(crate) fn on_retry(mut told: impl FnMut(&Retry)) -> impl FnMut(&Progress) {
    move |progress| {
        if let Progress::Retry(retry) = progress {
            told(retry);
        }
    }
}

/// Drops, and must.
#[track_caller]
pub(crate) fn dropped(database: &TestDatabase, options: &DropOptions) -> Dropped {
    match try_drop(database, options).unwrap() {
        Outcome::Done(dropped) => dropped,
        other => panic!("not dropped: {other:?}"),
    }
}

pub(crate) fn rehearsed(database: &TestDatabase, options: &DropOptions) -> Rehearsal {
    rehearse(&mut connector(database.url()), options, &mut |_| ()).unwrap()
}

/// How many of the legacy columns there are.
pub(crate) fn columns_left(database: &TestDatabase) -> usize {
    let names = database.column(
        "name",
        database.either(
            "FROM (SELECT attname AS name FROM pg_attribute WHERE attrelid = 'projects_project'::regclass \
             AND attnum > 0 AND NOT attisdropped) c",
            "FROM pragma_table_info('projects_project')",
        ),
    );
    names.iter().flatten().filter(|name| LEGACY.contains(&name.as_str())).count()
}

/// Everything that a drop that did not happen must have left alone: both sides, and the tools' own tables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Everything {
    legacy: RowSetDigest,
    rows: [RowSetDigest; 2],
    own: Vec<i64>,
}

pub(crate) fn everything(database: &TestDatabase) -> Everything {
    let columns = [&["project_type", "is_draft"], &LEGACY[..]].concat();
    let own = [
        "sti_drop_event",
        "sti_legacy_archive",
        "sti_drop_permit",
        "sti_drop_run",
        "sti_change_log",
        "__diesel_schema_migrations WHERE version = '00000000000901'",
        database.either("pg_trigger WHERE NOT tgisinternal", "sqlite_schema WHERE type = 'trigger'"),
        database.either("pg_proc WHERE proname LIKE 'sti_%'", "sqlite_schema WHERE 1 = 0"),
    ];
    Everything {
        legacy: database.digest("projects_project", "id", &columns),
        rows: [
            database.digest("projects_schoolproject", "project_id", &LEGACY[..3]),
            database.digest("projects_selfstudyproject", "project_id", &LEGACY[3..]),
        ],
        own: own.map(|table| database.count(table)).to_vec(),
    }
}

/// Of a drop nothing is left but the drop itself: no trigger, no function, no entry, no run that was not made.
#[track_caller]
pub(crate) fn nothing_is_left(database: &TestDatabase) {
    let left = sti_core::contract::leftovers(&mut open(database)).unwrap();
    assert!(left.is_empty(), "{left:?}");
    let other = "sti_legacy_archive WHERE event_id NOT IN (SELECT id FROM sti_drop_event)";
    assert_eq!((database.count(other), database.count("sti_drop_permit")), (0, 0));
}

/// Backfills everything and repairs what contradicts, as a rollout does before its drop.
pub(crate) fn bring_level(database: &TestDatabase) {
    use crate::backfill::rig::{config, run};
    use sti_core::backfill::Scope;

    repaired(database, sti_core::verify::repair::Direction::Legacy);
    run(database, &config(1000, Scope::All)).unwrap();
}

/// Repairs what contradicts, from the side that is right.
#[track_caller]
pub(crate) fn repaired(database: &TestDatabase, direction: sti_core::verify::repair::Direction) {
    use sti_core::verify::repair::{Execution, RepairOptions, execute, plan};

    let digest = plan(&mut open(database), direction, 0).unwrap().digest;
    let repaired = execute(&mut open(database), &RepairOptions::new(direction, digest), &mut |_| ()).unwrap();
    assert!(matches!(repaired, Execution::Done(_)), "{repaired:?}");
}

/// Another empty database on the same backend, where one test needs several.
pub(crate) fn another(database: &TestDatabase) -> TestDatabase {
    match database.backend_name() {
        "postgres" => TestDatabase::postgres(),
        _ => TestDatabase::sqlite(),
    }
}
