#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod backfill;
mod chunks;
pub mod contract;
pub mod db;
pub mod expand;
mod interrupt;
pub mod keyset;
pub mod mapping;
pub mod metrics;
pub mod models;
pub mod observe;
pub mod probe;
mod refilling;
pub mod repository;
pub mod schema;
mod subtype_rows;
pub mod sync;
#[cfg(feature = "test-support")]
pub mod test_support;
pub mod verify;

pub use chunks::ChunkEvent;
pub use models::{Project, ProjectId, ProjectType, SchoolProject, SelfStudyProject};
pub use repository::{ProjectRepository, RepositoryError, WriteMode};
