//! The rows of the two subtype tables.

use diesel::prelude::*;

use super::ProjectId;
use crate::schema::{projects_schoolproject, projects_selfstudyproject};

/// A row of `projects_schoolproject`: what only a school project has. A legacy NULL reads as `""`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Identifiable)]
#[diesel(table_name = projects_schoolproject, primary_key(project_id))]
pub struct SchoolProject {
    /// The project that this row belongs to.
    pub project_id: ProjectId,
    /// At most 255 characters.
    pub course_name: String,
    /// At most 50 characters.
    pub course_code: String,
    /// At most 255 characters.
    pub teacher_name: String,
}

/// A row of `projects_selfstudyproject`: what only a self-study project has. A legacy NULL reads as `""`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Identifiable)]
#[diesel(table_name = projects_selfstudyproject, primary_key(project_id))]
pub struct SelfStudyProject {
    /// The project that this row belongs to.
    pub project_id: ProjectId,
    /// Any length.
    pub goal_description: String,
    /// At most 50 characters.
    pub study_frequency: String,
}
