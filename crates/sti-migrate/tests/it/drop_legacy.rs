//! `sti-migrate drop-legacy`.

mod bad_input;
mod connection_lost;
mod kill;
mod rig;
mod states;
