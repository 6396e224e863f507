//! `ProjectRepository` in its three modes, as an application's role uses it.

mod change_type;
mod concurrency;
mod create_and_read;
mod delete;
mod django;
mod drop;
mod host;
mod opening;
mod restore;
pub(crate) mod rig;
mod statements;
mod update;
