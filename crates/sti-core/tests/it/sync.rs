//! The sync triggers, on PostgreSQL: on the schema that our migrations make, and on the one that Django made.

mod beside;
mod changes;
mod deletes;
mod drift;
mod lifecycle;
mod locks;
mod refusals;
pub(crate) mod rig;
mod rights;
mod tampering;
