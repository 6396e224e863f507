//! The `sti-migrate` binary, run as its user runs it, on both backends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod archive;
mod back_out;
mod bad_input;
mod drop_legacy;
mod held;
mod help;
mod logs;
mod restore_legacy;
mod rig;
mod status;
mod sync;
mod up;
