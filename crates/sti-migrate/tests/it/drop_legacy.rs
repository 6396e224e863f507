//! `sti-migrate drop-legacy`.

mod bad_input;
mod connection_lost;
mod kill;
mod left_behind;
mod metrics;
mod plan_out;
pub(crate) mod rig;
mod states;
mod stopped;
