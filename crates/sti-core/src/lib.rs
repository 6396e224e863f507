#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod db;
pub mod mapping;
pub mod models;
pub mod schema;
#[cfg(feature = "test-support")]
pub mod test_support;

pub use models::{Project, ProjectId, ProjectType, SchoolProject, SelfStudyProject};
