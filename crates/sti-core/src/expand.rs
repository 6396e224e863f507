//! The first step of the split: look at the tables of the application, adopt those that fit, make those that are
//! missing; and say at any time what state the schema is in.
//!
//! - [`plan`] looks and changes nothing; [`up`] does what the plan says, in one transaction;
//! - a table that does not fit is a [`Misfit`], and nothing is changed while there is one;
//! - [`status`] shows tables, migrations and the last run, and names the next step.
//!
//! What is here of the application's stays as it is: no column, index, constraint or privilege of a table that was
//! there before is changed.

mod error;
mod fit;
mod found;
mod misfit;
mod next_step;
mod note;
mod plan;
mod shape;
mod status;
mod up;
mod widen;

pub use error::UpError;
pub use fit::LegacyColumns;
pub use misfit::Misfit;
pub use next_step::NextStep;
pub use note::Note;
pub use plan::{Plan, TableAction, TablePlan, misfits, plan};
pub(crate) use shape::text_width;
pub use status::{OwnTable, RecordedMigration, Status, TableStatus, status};
pub use up::{Retry, UpOptions, UpReport, up};
pub use widen::Widening;

pub(crate) use plan::look;
pub(crate) use shape::TABLES;
