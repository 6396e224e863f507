//! The repository.

mod write_mode;

pub use write_mode::{InvalidWriteMode, WriteMode};
