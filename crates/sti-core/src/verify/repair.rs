//! Repair: makes one side agree with the other, where somebody has said which side is right.
//!
//! [`plan()`] shows what would be done and gives a digest; [`execute()`] does it if the digest still fits. Every row
//! that is changed or deleted is kept in `sti_repair_log` as it was before. Missing rows stay for the backfill. A
//! repair never counts as a clean verification: run a fresh one.

mod change;
mod chunk;
mod error;
mod execute;
mod plan;
mod pointers;
mod write;

pub use change::{Change, ChangeCounts, Direction};
pub use error::RepairError;
pub use execute::{CHUNK, Execution, Refusal, Repair, RepairOptions, execute};
pub use plan::{LeftAlone, RepairPlan, plan};
pub use pointers::{MAX_POINTERS, Pointer};
