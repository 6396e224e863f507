//! The guarded drop, against live databases.

mod archive;
mod digests;
mod gates;
mod migration;
pub(crate) mod rig;
