//! The gates that ask whether something else is under way: a backfill, a quarantine, a restore.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Text};

use super::super::event;
use super::super::gate::{Gate, GateResult};
use crate::backfill::{NEWEST_ENTRY, RunState, last_run};
use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, catalog};
use crate::models::ProjectId;

/// There is one active run at most, and it is the newest.
pub(in super::super) fn backfill(connection: &mut AnyConnection) -> Result<GateResult, DbError> {
    let active = last_run(connection)?.filter(|run| run.state == RunState::Active);
    let evidence = active.iter().map(|run| {
        format!(
            "run {} is active, in sweep {}, begun by {} at {}",
            run.run, run.sweep, run.started_by, run.started_at.0
        )
    });
    let fix = active.as_ref().map_or("", |run| run.scope.command());
    Ok(GateResult::of(Gate::BackfillIdle, evidence.len(), evidence.collect(), fix))
}

const QUARANTINE: &str = "sti_backfill_quarantine";

/// Projects whose row the database refused. `None` where no version of ours has made the table.
pub(in super::super) fn quarantine(connection: &mut AnyConnection) -> Result<Option<GateResult>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Class {
        #[diesel(sql_type = Text)]
        class: String,
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    #[derive(diesel::QueryableByName)]
    struct Id {
        #[diesel(sql_type = DbUuid)]
        id: ProjectId,
    }
    if catalog::relation(connection, QUARANTINE)?.is_none() {
        return Ok(None);
    }
    let doing = "reading the projects in quarantine";
    let classes: Vec<Class> = diesel::sql_query(format!(
        "SELECT class, count(*) AS count FROM {QUARANTINE} WHERE {NEWEST_ENTRY} GROUP BY class ORDER BY class"
    ))
    .load(connection)
    .doing(doing)?;
    let ids: Vec<Id> = diesel::sql_query(format!(
        "SELECT DISTINCT project_id AS id FROM {QUARANTINE} ORDER BY id LIMIT {}",
        GateResult::IDS
    ))
    .load(connection)
    .doing(doing)?;
    let found = classes.iter().map(|class| usize::try_from(class.count).unwrap_or(usize::MAX)).sum();
    let evidence = classes.iter().map(|Class { class, count }| format!("{class}: {count}")).collect();
    let mut result =
        GateResult::of(Gate::Quarantine, found, evidence, "ENABLE_STI=true sti quarantine retry");
    result.ids = ids.into_iter().map(|row| row.id).collect();
    Ok(Some(result))
}

/// A restore that has not come to its end keeps triggers on the subtype tables that write the legacy columns.
pub(in super::super) fn restore(connection: &mut AnyConnection) -> Result<GateResult, DbError> {
    let open: Vec<_> =
        event::events(connection)?.into_iter().filter(|event| event.finished_at.is_none()).collect();
    let evidence = open.iter().map(|event| {
        let state = match (event.restore_began_at, event.restored_at) {
            (_, Some(_)) => "is restored, and its triggers still write the legacy columns",
            (Some(_), None) => "is being restored: its columns are not yet filled and verified",
            (None, None) => "is not restored, although the columns are there",
        };
        format!("drop {} of {} {state}", event.id, event.dropped_at.0)
    });
    let restored = open.iter().all(|event| event.restored_at.is_some());
    let fix = if restored { "sti-migrate restore-legacy --finish" } else { "sti-migrate restore-legacy" };
    Ok(GateResult::of(Gate::RestoreFinished, open.len(), evidence.collect(), fix))
}
