#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod db;
pub mod mapping;
pub mod models;
pub mod repository;
pub mod schema;
mod subtype_rows;
#[cfg(feature = "test-support")]
pub mod test_support;

pub use models::{Project, ProjectId, ProjectType, SchoolProject, SelfStudyProject};
pub use repository::{ProjectRepository, RepositoryError, WriteMode};
