//! The rows of the three tables, and the typed id and type. Nothing here touches a database.

mod per_kind;
mod project;
mod project_id;
mod project_type;
mod subtype;

pub use per_kind::PerKind;
pub use project::Project;
pub use project_id::{InvalidProjectId, ProjectId};
pub use project_type::{Kind, ProjectType};
pub use subtype::{SchoolProject, SelfStudyProject};
