//! The backfill, on both backends.

mod fixture;
mod interleaving;
mod lag;
mod ledger;
pub(crate) mod rig;
mod throttle;
mod workers;
