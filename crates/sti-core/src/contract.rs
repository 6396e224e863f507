//! The last step of the split: the guarded drop of the legacy columns, and the way back.
//!
//! A drop is shown first ([`DropPlan`]: every [`Gate`] with its evidence, and a digest), rehearsed, and done by who
//! confirms the digest. Drop, event and the record of the migration are one transaction whose first statement takes the
//! locks; under them every gate is asked again. On PostgreSQL everything is compared and archived before, while writers
//! go on, and what they write is logged and worked off; what is left of a drop that was killed is in [`Leftovers`]. On
//! SQLite all of it is that one transaction. There is no way to force it: a gate that may be waived is waived by name and
//! count ([`Waiver`]), and that is recorded.
//!
//! ```no_run
//! use sti_core::contract::{DropOptions, Outcome, execute, plan, rehearse};
//! use sti_core::db::{Access, DatabaseUrl, connect};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let url = DatabaseUrl::parse("sqlite:projects.db")?;
//! let mut connector = || connect(&url, Access::Write, "contract");
//! let options = DropOptions::default().waive(["stray-values=3".parse()?])?;
//!
//! let plan = plan(&mut connector()?, &options)?;
//! for result in plan.shut() {
//!     println!("{}: {}, {:?}; {:?}", result.gate, result.verdict, result.evidence, result.fix);
//! }
//! let rehearsal = rehearse(&mut connector, &options, &mut |_| ())?;
//! println!("{rehearsal:?}");
//! // Somebody has read the plan, and confirms it.
//! match execute(&mut connector, &options, &plan.digest, &mut |_| ())? {
//!     Outcome::Done(done) => println!("{} rows are archived under event {}", done.archived, done.event),
//!     other => println!("{other:?}"),
//! }
//! # Ok(())
//! # }
//! ```

mod ahead;
mod archive;
mod attempt;
mod attempts;
pub mod back_out;
mod change_log;
mod confirm;
mod digest;
mod error;
mod estimate;
mod event;
mod execute;
mod gate;
mod gates;
mod leftovers;
pub(crate) mod locks;
mod look;
mod options;
mod outcome;
mod plan;
mod progress;
pub mod purge;
pub mod restore;
mod run;
pub(crate) mod session;
mod tally;
mod waiver;

pub use error::ContractError;
pub use event::{DropEvent, events};
pub use execute::{execute, plan, rehearse};
pub use gate::{Gate, GateResult, UnknownGate, Verdict};
pub use leftovers::{Leftovers, clear_leftovers, leftovers};
pub use options::DropOptions;
pub use outcome::{Answer, Blocked, Dropped, Outcome, Refusal, Rehearsal};
pub use plan::{DropPlan, LockEstimate, VALID};
pub use progress::Progress;
pub use restore::{finish, restore};
pub use run::UnmadeRun;
pub use session::Unknown;
pub use waiver::{BadWaiver, Waiver};

pub use crate::expand::Retry;
pub use crate::interrupt::Interrupt;
