//! A drop by hand, and the restore.

use std::time::Duration;

use sti_core::backfill::ChunkSize;
use sti_core::contract::restore::{
    Finish, FinishOptions, Refilled, Restoration, RestoreError, RestoreEvent, RestoreOptions, Restored,
    finish, restore,
};
use sti_core::db::catalog;
use sti_core::models::Kind;
use sti_core::test_support::{RowSetDigest, TestDatabase};

use crate::repository::rig::{LEGACY, drop_columns, owner};

/// What a guarded drop leaves behind: every project archived, the columns gone, the event.
pub(crate) fn drop_by_hand(database: &TestDatabase) {
    let definitions = catalog::definitions(&mut owner(database), "projects_project", &LEGACY).unwrap();
    let definitions = serde_json::to_string(&definitions).unwrap().replace('\'', "''");
    let [school, self_study] = Kind::ALL.map(|kind| {
        let alias = if kind == Kind::School { "s" } else { "f" };
        kind.columns().iter().map(|column| format!(", {alias}.{column}")).collect::<String>()
    });
    let legacy: String = LEGACY.iter().map(|column| format!(", p.{column}")).collect();
    database.execute(&format!(
        "BEGIN; \
         INSERT INTO sti_drop_event (dropped_at, tool_version, archived, definitions) \
         SELECT '2026-01-02 03:04:05', 'by hand', count(*), '{definitions}' FROM projects_project; \
         INSERT INTO sti_drop_run (id, event_id, begun_at, seen_at, pid, rehearsal) \
         SELECT id, id, dropped_at, dropped_at, 0, false FROM sti_drop_event WHERE id NOT IN \
            (SELECT id FROM sti_drop_run); \
         INSERT INTO sti_legacy_archive \
         SELECT (SELECT max(id) FROM sti_drop_event), p.id, p.project_type{legacy}, \
                s.project_id IS NOT NULL{school}, f.project_id IS NOT NULL{self_study} \
         FROM projects_project p LEFT JOIN projects_schoolproject s ON s.project_id = p.id \
         LEFT JOIN projects_selfstudyproject f ON f.project_id = p.id; COMMIT"
    ));
    drop_columns(database, &LEGACY);
}

/// The five legacy columns of all projects.
pub(crate) fn legacy_digest(database: &TestDatabase) -> RowSetDigest {
    database.digest("projects_project", "id", &LEGACY)
}

/// Chunks of `size` projects.
pub(crate) fn chunks_of(size: u32) -> RestoreOptions {
    RestoreOptions { chunk: ChunkSize::new(size).unwrap(), sample: 3, ..RestoreOptions::default() }
}

pub(crate) fn try_restore(
    database: &TestDatabase,
    options: &RestoreOptions,
) -> Result<Restoration, RestoreError> {
    restore(&mut || Ok(owner(database)), options, &mut |_| {})
}

/// A restore that must come to its end.
#[track_caller]
pub(crate) fn restored(database: &TestDatabase) -> Restored {
    match try_restore(database, &chunks_of(2)).unwrap() {
        Restoration::Done(restored) => restored,
        other => panic!("not restored: {other:?}"),
    }
}

/// A restore that is stopped as soon as the columns are back.
#[track_caller]
pub(crate) fn begun(database: &TestDatabase) {
    let options = chunks_of(2);
    let stopped = restore(&mut || Ok(owner(database)), &options, &mut |event| {
        if matches!(event, RestoreEvent::Began(_)) {
            options.stop.stop();
        }
    });
    assert!(matches!(stopped, Ok(Restoration::Stopped(_))), "{stopped:?}");
}

pub(crate) fn refilled(projects: i64, archived: i64, changed: i64) -> Refilled {
    Refilled { projects, archived, changed, ..Refilled::default() }
}

/// The figures of a refill without the number of its chunks.
pub(crate) fn figures(refilled: Refilled) -> Refilled {
    Refilled { chunks: 0, ..refilled }
}

/// Takes the triggers away without waiting for services that are not there.
#[track_caller]
pub(crate) fn finished(database: &TestDatabase) -> Finish {
    let options = FinishOptions {
        noticed_after: Duration::ZERO,
        watched_for: Duration::ZERO,
        quiet_for: Duration::ZERO,
        ..FinishOptions::default()
    };
    finish(&mut || Ok(owner(database)), &options, &mut |_| {}).unwrap()
}

/// How many triggers and functions of a restore are there.
pub(crate) fn leftovers(database: &TestDatabase) -> i64 {
    database.count(database.either(
        "(SELECT tgname FROM pg_trigger WHERE tgname LIKE 'sti_restore%' \
          UNION ALL SELECT relname FROM pg_class WHERE relname LIKE 'sti_restore%' \
          UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'sti_restore%') t",
        "sqlite_schema WHERE name LIKE 'sti_restore%'",
    ))
}

/// How the legacy columns are defined.
pub(crate) fn definitions(database: &TestDatabase) -> Vec<(String, String)> {
    let found = catalog::definitions(&mut owner(database), "projects_project", &LEGACY).unwrap();
    found.columns.iter().map(|column| (column.name.clone(), column.to_string())).collect()
}
