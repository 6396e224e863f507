//! The only code that inserts or updates subtype rows, shared by the repository, the backfill and the repair.

pub(crate) mod fill;
pub(crate) mod repair;
