//! Whether somebody has paused the backfill, or ended the run.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::ThrottleReason;
use crate::backfill::ledger::RunId;
use crate::db::AnyConnection;
use crate::db::error::{DbError, Doing as _, Fault};
use crate::db::sql_types::{DbTimestamp, Timestamp};

/// What the ledger says of a run.
pub(super) enum Told {
    /// Go on.
    Nothing,
    /// Wait.
    Wait(ThrottleReason),
    /// The run has ended: there is nothing to wait for.
    RunOver,
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    action: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    by_whom: Option<String>,
    #[diesel(sql_type = Nullable<DbTimestamp>)]
    at: Option<Timestamp>,
}

/// Reads it; two rows by their primary keys.
///
/// # Errors
/// What passes when it is tried again. Whatever else keeps it from being read counts as a reason to wait.
pub(super) fn look(connection: &mut AnyConnection, run: RunId) -> Result<Told, DbError> {
    let row: Result<Row, DbError> = diesel::sql_query(
        "SELECT r.state, c.action, c.reason, c.by_whom, c.at FROM sti_backfill_run r \
         LEFT JOIN (SELECT action, reason, by_whom, at FROM sti_backfill_control \
                    WHERE action <> 'cancel' ORDER BY id DESC LIMIT 1) c ON TRUE WHERE r.id = $1",
    )
    .bind::<BigInt, _>(run.0)
    .get_result(connection)
    .doing("reading whether the backfill is paused");
    match row {
        Ok(row) if row.state != "active" => Ok(Told::RunOver),
        Ok(Row {
            action: Some(action), reason: Some(reason), by_whom: Some(by), at: Some(since), ..
        }) if action == "pause" => Ok(Told::Wait(ThrottleReason::Paused { by, reason, since })),
        Ok(_) => Ok(Told::Nothing),
        Err(error) if passes(&error) => Err(error),
        Err(error) => Ok(Told::Wait(ThrottleReason::Unreadable { what: error.to_string() })),
    }
}

/// Whether the engine's retries, or a new connection, are what helps.
pub(super) fn passes(error: &DbError) -> bool {
    matches!(error.fault(), Fault::ConnectionLost | Fault::Transient | Fault::LockTimeout)
}
