//! The library against real databases: one binary, every case on both backends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod back_out;
mod backfill;
mod catalog;
mod contract;
mod cost;
mod expand;
mod faults;
mod plan_errors;
mod purge;
mod repair;
mod repository;
mod restore;
mod runbook;
mod schema_matches;
mod support;
mod sync;
mod verify;
