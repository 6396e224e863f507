//! The plan's "dual-write verification".

use crate::staging_check::census::Census;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::service::Service;
use crate::staging_check::walk::Walk;

pub(in crate::staging_check) fn both_modes(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let before = Census::take(walk.database())?;
    let mut service = Service::start(walk.database())?;
    service.work("before the drop")?;
    walk.look(row);
    service.compare(row, walk.database(), true)?;
    let after = Census::take(walk.database())?;
    row.equal("findings, by our own SQL", before.findings(), after.findings());
    // It stays open: it is to go through the drop.
    walk.memory.service = Some(service);
    Ok(())
}
