//! The `sti` binary, run as its user runs it, on both backends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod backfill;
mod bad_input;
mod counts;
mod dot_env;
mod faults;
mod grants;
mod help;
mod kill;
mod logs;
mod metrics;
mod pause;
mod progress;
mod prometheus;
mod quarantine;
mod rig;
mod status;
mod sync;
