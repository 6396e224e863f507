//! The way back after a drop. The drop is made by plain SQL here, so that these tests lean on nothing of the guarded
//! one.

mod connection_lost;
mod finish;
mod half_way;
mod interleaving;
mod resume;
pub(crate) mod rig;
mod states;
mod stopped;
mod triggers;
mod values;
