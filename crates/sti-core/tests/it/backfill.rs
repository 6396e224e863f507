//! The backfill, on both backends.

mod faults;
mod fixture;
mod interleaving;
mod lag;
mod ledger;
mod limits;
mod outages;
mod quarantine;
pub(crate) mod rig;
mod status;
mod stress;
mod throttle;
mod workers;
