//! The only code that inserts, updates or deletes rows of the two subtype tables, shared by the repository, the
//! backfill and the repair.
//!
//! Whoever calls it holds the lock of the parent row: the parent first, then its subtype rows, never the other
//! way round.

mod delete;
pub(crate) mod fill;
pub(crate) mod repair;
mod upsert;

pub(crate) use delete::delete_row;
pub(crate) use upsert::{Field, RowWrite, Values, update_parent_and_row, write_row};
