//! The backfill, on both backends.

mod fixture;
mod interleaving;
mod ledger;
pub(crate) mod rig;
mod workers;
