//! The backfill: makes the missing subtype rows of a live table, in chunks that each commit together with their
//! entry in the ledger.
//!
//! One *run* is a sweep over all keys, then catch-up sweeps over what is still missing, until nothing is. A run that
//! was stopped or killed is taken up where the ledger says it stands.

mod careful;
mod chunk;
mod config;
pub mod control;
mod dry_run;
mod engine;
mod error;
mod error_rate;
mod last_run;
mod lease;
mod ledger;
mod quarantine;
mod remedy;
mod scope;
mod size;
pub mod status;
mod sweep;
mod terms;
mod throttle;
mod totals;
mod worker;

pub use config::{BackfillConfig, Owner, StopSignal};
pub use dry_run::{DryRun, dry_run};
pub use engine::{Backfill, Ending};
pub use error::BackfillError;
pub use error_rate::{ErrorRate, InvalidErrorRate};
pub use last_run::{LastRun, RunState, done_by_others, last_run, oldest_lease, runs};
pub use ledger::RunId;
pub(crate) use quarantine::NEWEST_ENTRY;
pub use quarantine::{Quarantine, Quarantined, Retried, quarantine, retry};
pub use scope::Scope;
pub use size::{ChunkSize, ChunkTime, InvalidChunkSize, InvalidChunkTime, Sizing};
pub use throttle::{Gate, InvalidPace, InvalidWindow, Pace, ThrottleConfig, ThrottleReason, Window};
pub use totals::Totals;

pub use crate::models::PerKind;
