//! The shell that `sti`, `sti-verify` and `sti-migrate` share: where the database is, what a command answers with,
//! how a report is written. The work itself is in `sti-core`; no SQL is written here.

pub mod answer;
pub mod chunks;
pub mod common;
pub mod digest;
pub mod document;
pub mod duration;
pub mod entry;
pub mod flag;
pub mod format;
pub mod gate;
pub mod http;
pub mod logs;
pub mod person;
pub mod progress;
pub mod prometheus;
pub mod retries;
pub mod signals;
pub mod stderr;
pub mod stdout;
pub mod steps;
pub mod target;
pub mod telemetry;
pub mod time;
pub mod whole_file;

pub use answer::{Answer, Exit, Failure};
pub use common::Common;
pub use document::{Document, Table, number, percent};
pub use entry::{Arguments, main};
pub use format::{Format, Report};
pub use target::{DatabaseArgs, Target};
