//! `sti-migrate restore-legacy`, after a drop by `sti-migrate drop-legacy`.

mod connection_lost;
mod endings;
mod kill;
pub(crate) mod rig;
