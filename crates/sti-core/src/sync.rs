//! Triggers on `projects_project` that keep the subtype rows right for writers that do not embed this library: they write
//! the legacy columns, and the database carries that over. PostgreSQL only, and one direction only.
//!
//! - [`install`] makes them, or mends what is there of them; [`remove`] takes them away; [`status`] says whether they are
//!   as they should be, part by part.
//! - They fire when one of the five columns or `project_type` really differs (a NULL and `''` are one value in a subtype
//!   row), and write only what has changed. So a row that has drifted is not overwritten because its project is saved,
//!   and installing needs no look at the rows. What a trigger must overwrite, or delete in a change of type, and no
//!   legacy value says goes to `sti_repair_log` first; with a project that is deleted its row goes unsaved.
//! - They write with their owner's rights: the writer's role needs none on the subtype tables.
//!
//! The drop of the legacy columns takes them away in its own transaction; a restore and a back-out are refused beside
//! them.

mod error;
mod install;
mod remove;
mod sql;
mod status;

pub use crate::contract::restore::Attempts;
pub use error::{Blocker, SyncError};
pub use install::{Install, blockers, install};
pub use remove::{Remove, remove};
pub use status::{Installed, SyncStatus, look, status};

pub(crate) use remove::remove_for_drop;
pub(crate) use sql::is_ours;
