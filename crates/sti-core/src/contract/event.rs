//! The record of drops, `sti_drop_event`.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{OptionalExtension as _, RunQueryDsl as _};
use std::time::Duration;

use super::digest::VERSION;
use super::gate::{GateResult, Verdict};
use super::plan::DropPlan;
use crate::db::error::Doing as _;
use crate::db::sql_types::{DbTimestamp, DbUuid, Timestamp};
use crate::db::{AnyConnection, DbError, dialect};
use crate::models::ProjectId;

/// A drop on record. What a version of this library before the archive recorded has none of the optional fields.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub struct DropEvent {
    /// Its id, also in `sti_legacy_archive`.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// When, by the database's clock.
    #[diesel(sql_type = DbTimestamp)]
    pub dropped_at: Timestamp,
    /// By which version.
    #[diesel(sql_type = Text)]
    pub tool_version: String,
    /// The digest that was confirmed.
    #[diesel(sql_type = Nullable<Text>)]
    pub digest: Option<String>,
    /// JSON: every gate as found under the locks.
    #[diesel(sql_type = Nullable<Text>)]
    pub gates: Option<String>,
    /// JSON: the waivers, each with what was allowed and what was found.
    #[diesel(sql_type = Nullable<Text>)]
    pub waivers: Option<String>,
    /// JSON: [`crate::db::catalog::Definitions`] of the columns.
    #[diesel(sql_type = Nullable<Text>)]
    pub definitions: Option<String>,
    /// Rows that were archived.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub archived: Option<i64>,
    /// Milliseconds under the locks.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub lock_ms: Option<i64>,
    /// When the columns came back, empty.
    #[diesel(sql_type = Nullable<DbTimestamp>)]
    pub restore_began_at: Option<Timestamp>,
    /// The last project that was refilled; [`ProjectId::MAX`] once there are no more. From then on the triggers keep level
    /// what comes.
    #[diesel(sql_type = Nullable<DbUuid>)]
    pub refilled_through: Option<ProjectId>,
    /// When they were filled and verified.
    #[diesel(sql_type = Nullable<DbTimestamp>)]
    pub restored_at: Option<Timestamp>,
    /// When the triggers of the restore went.
    #[diesel(sql_type = Nullable<DbTimestamp>)]
    pub finished_at: Option<Timestamp>,
}

impl DropEvent {
    /// Whether the drop has not been taken back in full: until then the subtype rows are the values.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.restored_at.is_none()
    }
}

const COLUMNS: &str = "id, dropped_at, tool_version, digest, gates, waivers, definitions, archived, lock_ms, \
                       restore_began_at, refilled_through, restored_at, finished_at";

/// Every drop on record, the oldest first. The tables of our migrations must be there.
///
/// # Errors
/// Whatever the database says.
pub fn events(connection: &mut AnyConnection) -> Result<Vec<DropEvent>, DbError> {
    diesel::sql_query(format!("SELECT {COLUMNS} FROM sti_drop_event ORDER BY id"))
        .load(connection)
        .doing("reading the drops on record")
}

/// What identifies an event beyond its id, which a drop that was rolled back may have had too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) id: i64,
    pub(super) dropped_at: Timestamp,
    pub(super) digest: String,
}

/// Writes the event of a drop that is being made; its id is `id`, where it has one already.
pub(super) fn record(
    connection: &mut AnyConnection,
    id: Option<i64>,
    plan: &DropPlan,
    definitions: &str,
    digest: &str,
) -> Result<Recorded, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        id: i64,
        #[diesel(sql_type = DbTimestamp)]
        dropped_at: Timestamp,
    }
    let now = dialect::backend(connection).now();
    let (column, overriding, value) =
        id.map_or_else(Default::default, |id| ("id, ", "OVERRIDING SYSTEM VALUE ", format!("{id}, ")));
    let sql = format!(
        "INSERT INTO sti_drop_event ({column}dropped_at, tool_version, digest, gates, waivers, definitions) \
         {overriding}VALUES ({value}{now}, $1, $2, $3, $4, $5) RETURNING id, dropped_at"
    );
    let row: Row = diesel::sql_query(sql)
        .bind::<Text, _>(VERSION)
        .bind::<Text, _>(digest)
        .bind::<Text, _>(json(&plan.gates))
        .bind::<Text, _>(json(&waivers(&plan.gates)))
        .bind::<Text, _>(definitions)
        .get_result(connection)
        .doing("recording the drop")?;
    Ok(Recorded { id: row.id, dropped_at: row.dropped_at, digest: digest.to_owned() })
}

/// Completes the event with what was measured.
pub(super) fn complete(
    connection: &mut AnyConnection,
    event: i64,
    archived: i64,
    held: Duration,
) -> Result<(), DbError> {
    diesel::sql_query("UPDATE sti_drop_event SET archived = $1, lock_ms = $2 WHERE id = $3")
        .bind::<BigInt, _>(archived)
        .bind::<BigInt, _>(i64::try_from(held.as_millis()).unwrap_or(i64::MAX))
        .bind::<BigInt, _>(event)
        .execute(connection)
        .doing("completing the record of the drop")
        .map(|_| ())
}

/// This very event, if it is on record.
pub(super) fn find(connection: &mut AnyConnection, event: &Recorded) -> Result<Option<DropEvent>, DbError> {
    let found: Option<DropEvent> =
        diesel::sql_query(format!("SELECT {COLUMNS} FROM sti_drop_event WHERE id = $1"))
            .bind::<BigInt, _>(event.id)
            .get_result(connection)
            .optional()
            .doing("looking for the drop on record")?;
    Ok(found.filter(|found| {
        found.dropped_at == event.dropped_at && found.digest.as_deref() == Some(&event.digest)
    }))
}

/// The drop that has not been taken back, if there is one.
pub(super) fn open_drop(connection: &mut AnyConnection) -> Result<Option<DropEvent>, DbError> {
    diesel::sql_query(format!(
        "SELECT {COLUMNS} FROM sti_drop_event WHERE restored_at IS NULL ORDER BY id DESC LIMIT 1"
    ))
    .get_result(connection)
    .optional()
    .doing("reading the drops on record")
}

/// A waiver as it is recorded.
#[derive(serde::Serialize)]
struct WaivedGate {
    gate: super::Gate,
    allowed: i64,
    found: i64,
}

fn waivers(gates: &[GateResult]) -> Vec<WaivedGate> {
    let waived = gates.iter().filter(|result| result.verdict == Verdict::Waived);
    waived
        .map(|result| WaivedGate { gate: result.gate, allowed: result.allowed, found: result.found })
        .collect()
}

/// JSON of a value that has no map whose keys are no texts: it cannot fail.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
