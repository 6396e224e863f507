//! Verification: on the database that Django made, and with each class planted alone.

mod classes;
mod django;
mod ending;
mod ids;
mod random;
mod refusals;
pub(crate) mod rig;
mod snapshot;
