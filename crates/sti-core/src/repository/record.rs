//! What a read gives back.

use crate::models::{Kind, Project};

/// A project: the columns that every project has, and what only its kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectRecord {
    /// The common columns.
    pub project: Project,
    /// What only a project of its kind has.
    pub details: Details,
}

/// What only a project of one kind has. A NULL, and a subtype row that is missing, read as empty texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Details {
    /// Of a school project.
    School(SchoolDetails),
    /// Of a self-study project.
    SelfStudy(SelfStudyDetails),
    /// A project of unknown type has none.
    None,
}

impl Details {
    /// The kind that these details belong to.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::School(_) => Some(Kind::School),
            Self::SelfStudy(_) => Some(Kind::SelfStudy),
            Self::None => None,
        }
    }
}

/// What only a school project has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchoolDetails {
    /// At most 255 characters.
    pub course_name: String,
    /// At most 50 characters.
    pub course_code: String,
    /// At most 255 characters.
    pub teacher_name: String,
}

/// What only a self-study project has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfStudyDetails {
    /// Any length.
    pub goal_description: String,
    /// At most 50 characters.
    pub study_frequency: String,
}
