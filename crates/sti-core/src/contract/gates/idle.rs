//! The gates that ask whether something else is under way: a backfill, a quarantine, a restore.

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use super::super::event;
use super::super::gate::{Gate, GateResult};
use crate::backfill::{RunState, last_run};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, catalog};

/// There is one active run at most, and it is the newest.
pub(in super::super) fn backfill(connection: &mut AnyConnection) -> Result<GateResult, DbError> {
    let active = last_run(connection)?.filter(|run| run.state == RunState::Active);
    let evidence = active.iter().map(|run| {
        format!(
            "run {} is active, in sweep {}, begun by {} at {}",
            run.run, run.sweep, run.started_by, run.started_at.0
        )
    });
    let fix = active.as_ref().map_or("", |run| {
        if run.scope.includes_drafts() { "sti backfill --include-drafts" } else { "sti backfill" }
    });
    Ok(GateResult::of(Gate::BackfillIdle, evidence.len(), evidence.collect(), fix))
}

const QUARANTINE: &str = "sti_backfill_quarantine";

/// `None` where no version of ours has made the table.
pub(in super::super) fn quarantine(connection: &mut AnyConnection) -> Result<Option<GateResult>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    if catalog::relation(connection, QUARANTINE)?.is_none() {
        return Ok(None);
    }
    let Count { count } = diesel::sql_query(format!("SELECT count(*) AS count FROM {QUARANTINE}"))
        .get_result(connection)
        .doing("counting the projects in quarantine")?;
    let evidence = (count > 0).then(|| format!("{count} projects could not be backfilled: see {QUARANTINE}"));
    let found = usize::try_from(count).unwrap_or(usize::MAX);
    Ok(Some(GateResult::of(Gate::Quarantine, found, evidence.into_iter().collect(), "sti backfill")))
}

/// A restore that has not come to its end keeps triggers on the subtype tables that write the legacy columns.
pub(in super::super) fn restore(connection: &mut AnyConnection) -> Result<GateResult, DbError> {
    let open: Vec<_> =
        event::events(connection)?.into_iter().filter(|event| event.finished_at.is_none()).collect();
    let evidence = open.iter().map(|event| {
        let state = match (event.restore_began_at, event.restored_at) {
            (_, Some(_)) => "is restored, and its triggers still write the legacy columns",
            (Some(_), None) => "is being restored: its columns are not yet filled",
            (None, None) => "is not restored, although the columns are there",
        };
        format!("drop {} of {} {state}", event.id, event.dropped_at.0)
    });
    let restored = open.iter().all(|event| event.restored_at.is_some());
    let fix = if restored { "sti-migrate restore-legacy --finish" } else { "sti-migrate restore-legacy" };
    Ok(GateResult::of(Gate::RestoreFinished, open.len(), evidence.collect(), fix))
}
