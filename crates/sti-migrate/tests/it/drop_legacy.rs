//! `sti-migrate drop-legacy`.

mod bad_input;
mod connection_lost;
mod kill;
mod metrics;
pub(crate) mod rig;
mod states;
