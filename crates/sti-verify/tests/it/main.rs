//! The `sti-verify` binary, run as its user runs it, on both backends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bad_input;
mod check;
mod ending;
mod help;
mod logs;
mod repair;
mod rig;
