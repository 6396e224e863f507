//! The last step of a restore: both sides are compared, and only if they agree does the event say "restored".

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use super::error::RestoreError;
use super::state::{Next, State};
use super::{Restoration, RestoreOptions, Restored};
use crate::contract::locks::{Tables, under_locks};
use crate::contract::session::{Became, Session, Steps as _};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, dialect};
use crate::models::ProjectId;
use crate::verify::{VerifyOptions, verify};

/// Verifies, and records that the drop is taken back.
///
/// Between the snapshot of the verification and the record the triggers keep both sides level; so they must still be
/// there when it is made.
pub(super) fn settle(
    session: &mut Session<'_>,
    mut restored: Restored,
    options: &RestoreOptions,
) -> Result<Restoration, RestoreError> {
    let of_all = VerifyOptions { sample: options.sample, ..VerifyOptions::default() };
    let report = verify(session.connection(), of_all)?;
    if !report.is_clean() {
        return Ok(Restoration::NotVerified { restored, report: Box::new(report) });
    }
    let id = restored.event;
    let work = |connection: &mut AnyConnection| record(connection, id);
    under_locks(session, Tables::None, options.locks, &mut |_| {}, work, |connection, ()| {
        let state = State::look(connection)?;
        Ok(Became::done_if(state.events.iter().any(|event| event.id == id && !event.is_open())))
    })?;
    restored.verified = report.counts.projects.total();
    Ok(Restoration::Done(restored))
}

/// Records that the drop `id` is restored, unless another process has. Triggers that were away for a while put the cursor
/// back when they are made anew: what was verified says nothing of what was written meanwhile.
fn record(connection: &mut AnyConnection, id: i64) -> Result<(), RestoreError> {
    match State::look(connection)?.next()? {
        Next::Refill(event) if event.id == id && event.refilled_through == Some(ProjectId::MAX) => {}
        Next::Restored(event) if event.id == id => return Ok(()),
        _ => {
            return Err(RestoreError::Changed(
                "columns or triggers went away while both sides were being verified, and may have come back",
            ));
        }
    }
    let now = dialect::backend(connection).now();
    diesel::sql_query(format!(
        "UPDATE sti_drop_event SET restored_at = {now} WHERE id = $1 AND restored_at IS NULL"
    ))
    .bind::<BigInt, _>(id)
    .execute(connection)
    .doing("recording that the drop is restored")?;
    Ok(())
}
