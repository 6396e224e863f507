#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod db;
pub mod mapping;
pub mod models;
pub mod schema;

pub use models::{Project, ProjectId, ProjectType, SchoolProject, SelfStudyProject};
