#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod db;
pub mod keyset;
pub mod mapping;
pub mod models;
pub mod schema;
#[cfg(feature = "test-support")]
pub mod test_support;
pub mod verify;

pub use models::{Project, ProjectId, ProjectType, SchoolProject, SelfStudyProject};
