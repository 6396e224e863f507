//! The guarded drop, against live databases.

mod archive;
mod commit;
mod digests;
mod gates;
mod interference;
mod kill;
mod locks;
mod migration;
mod race;
pub(crate) mod rig;
mod service;
mod stop;
