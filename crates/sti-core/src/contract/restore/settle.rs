//! The last step of a restore: both sides are compared, and only if they agree does the event say "restored".

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use super::error::RestoreError;
use super::state::{Next, State};
use super::{Restoration, RestoreOptions, Restored};
use crate::contract::locks::{Tables, under_locks};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, dialect};
use crate::verify::{VerifyOptions, verify};

/// Verifies, and records that the drop is taken back.
///
/// Between the snapshot of the verification and the record the triggers keep both sides level; so they must still be
/// there when it is made.
pub(super) fn settle(
    connection: &mut AnyConnection,
    mut restored: Restored,
    options: &RestoreOptions,
) -> Result<Restoration, RestoreError> {
    let report = verify(connection, VerifyOptions { sample: options.sample, ..VerifyOptions::default() })?;
    if !report.is_clean() {
        return Ok(Restoration::NotVerified { restored, report: Box::new(report) });
    }
    under_locks(connection, Tables::None, options.locks, &mut |_| {}, |connection| {
        match State::look(connection)?.next()? {
            Next::Refill(event) if event.id == restored.event => {}
            Next::Restored(event) if event.id == restored.event => return Ok(()),
            _ => {
                return Err(RestoreError::Changed(
                    "columns or triggers went away while both sides were being verified",
                ));
            }
        }
        let now = dialect::backend(connection).now();
        diesel::sql_query(format!(
            "UPDATE sti_drop_event SET restored_at = {now} WHERE id = $1 AND restored_at IS NULL"
        ))
        .bind::<BigInt, _>(restored.event)
        .execute(connection)
        .doing("recording that the drop is restored")?;
        Ok(())
    })?;
    restored.verified = report.counts.projects.total();
    Ok(Restoration::Done(restored))
}
