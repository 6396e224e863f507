//! The backfill, on both backends.

mod fixture;
mod interleaving;
mod lag;
mod ledger;
mod quarantine;
pub(crate) mod rig;
mod throttle;
mod workers;
