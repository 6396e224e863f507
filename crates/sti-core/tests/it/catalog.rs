//! The catalogue: how columns are defined, and what depends on them.

mod definitions;
mod dependents;
