//! What a caller asks for: a new project, a patch, another type.

use chrono::NaiveDate;

use super::record::{SchoolDetails, SelfStudyDetails};
use crate::db::sql_types::Integer;
use crate::models::{Kind, ProjectId, ProjectType};
use crate::subtype_rows::Field;

/// A project that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProject {
    /// Its key; [`NewProject::draft`] makes a random one.
    pub id: ProjectId,
    /// At most 255 characters.
    pub name: String,
    /// A row of the application's user table.
    pub owner_id: Integer,
    /// First day, if it is set.
    pub start_date: Option<NaiveDate>,
    /// Last day, if it is set.
    pub end_date: Option<NaiveDate>,
    /// Not published yet.
    pub is_draft: bool,
    /// Its type, and what only that type has.
    pub details: NewDetails,
}

impl NewProject {
    /// A draft without dates, under a random id.
    #[must_use]
    pub fn draft(name: impl Into<String>, owner_id: Integer, details: NewDetails) -> Self {
        Self {
            id: ProjectId::random(),
            name: name.into(),
            owner_id,
            start_date: None,
            end_date: None,
            is_draft: true,
            details,
        }
    }
}

/// The type of a new project, and what only that type has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewDetails {
    /// A school project.
    School(SchoolDetails),
    /// A self-study project.
    SelfStudy(SelfStudyDetails),
    /// Any other text, at most 20 characters; it has no subtype row. The text of a known kind is that kind, with
    /// empty details.
    Other(String),
}

/// What to change of a project; what is `None` stays as it is (an untouched NULL stays NULL).
///
/// ```
/// use sti_core::repository::ProjectPatch;
///
/// let publish = ProjectPatch { is_draft: Some(false), ..ProjectPatch::default() };
/// # assert_eq!(publish.name, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectPatch {
    /// At most 255 characters.
    pub name: Option<String>,
    /// A row of the application's user table.
    pub owner_id: Option<Integer>,
    /// First day; `Some(None)` takes it away.
    pub start_date: Option<Option<NaiveDate>>,
    /// Last day; `Some(None)` takes it away.
    pub end_date: Option<Option<NaiveDate>>,
    /// `Some(false)` publishes.
    pub is_draft: Option<bool>,
    /// What only its kind has. A patch for another kind than the project's is an error.
    pub details: Option<DetailsPatch>,
}

/// A patch of what only one kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetailsPatch {
    /// For a school project.
    School(SchoolPatch),
    /// For a self-study project.
    SelfStudy(SelfStudyPatch),
}

/// The type that a project shall have. A field that is `None` keeps what the new kind's columns hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeChange {
    /// A school project.
    School(SchoolPatch),
    /// A self-study project.
    SelfStudy(SelfStudyPatch),
    /// Any other text, at most 20 characters; it has no subtype row. The text of a known kind is that kind.
    Other(String),
}

/// What to change of a school project's own columns; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchoolPatch {
    /// At most 255 characters.
    pub course_name: Option<String>,
    /// At most 50 characters.
    pub course_code: Option<String>,
    /// At most 255 characters.
    pub teacher_name: Option<String>,
}

/// What to change of a self-study project's own columns; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfStudyPatch {
    /// Any length.
    pub goal_description: Option<String>,
    /// At most 50 characters.
    pub study_frequency: Option<String>,
}

impl From<SchoolDetails> for SchoolPatch {
    fn from(all: SchoolDetails) -> Self {
        Self {
            course_name: Some(all.course_name),
            course_code: Some(all.course_code),
            teacher_name: Some(all.teacher_name),
        }
    }
}

impl From<SelfStudyDetails> for SelfStudyPatch {
    fn from(all: SelfStudyDetails) -> Self {
        Self { goal_description: Some(all.goal_description), study_frequency: Some(all.study_frequency) }
    }
}

/// The text of a type, and the fields of its kind that the caller gives.
#[derive(Clone, Debug)]
pub(super) struct TypedFields {
    pub(super) project_type: ProjectType,
    pub(super) fields: Vec<Field>,
}

impl NewDetails {
    pub(super) fn into_fields(self) -> TypedFields {
        match self {
            Self::School(all) => TypeChange::School(all.into()),
            Self::SelfStudy(all) => TypeChange::SelfStudy(all.into()),
            Self::Other(text) => TypeChange::Other(text),
        }
        .into_fields()
    }
}

impl TypeChange {
    pub(super) fn into_fields(self) -> TypedFields {
        match self {
            Self::School(patch) => DetailsPatch::School(patch).into_fields(),
            Self::SelfStudy(patch) => DetailsPatch::SelfStudy(patch).into_fields(),
            Self::Other(text) => TypedFields { project_type: text.into(), fields: Vec::new() },
        }
    }
}

impl DetailsPatch {
    pub(super) fn into_fields(self) -> TypedFields {
        // In the order of `Kind::columns`.
        let (kind, values) = match self {
            Self::School(patch) => {
                (Kind::School, vec![patch.course_name, patch.course_code, patch.teacher_name])
            }
            Self::SelfStudy(patch) => (Kind::SelfStudy, vec![patch.goal_description, patch.study_frequency]),
        };
        let fields = kind.columns().iter().zip(values).filter_map(|(name, value)| Some((*name, value?)));
        TypedFields { project_type: kind.into(), fields: fields.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_a_patch_goes_to_the_column_of_its_name() {
        let school = SchoolDetails {
            course_name: "course_name".to_owned(),
            course_code: "course_code".to_owned(),
            teacher_name: "teacher_name".to_owned(),
        };
        let self_study = SelfStudyDetails {
            goal_description: "goal_description".to_owned(),
            study_frequency: "study_frequency".to_owned(),
        };
        for details in [NewDetails::School(school), NewDetails::SelfStudy(self_study)] {
            let typed = details.into_fields();
            let columns = typed.project_type.kind().unwrap().columns();
            assert_eq!(typed.fields.len(), columns.len());
            for ((name, value), column) in typed.fields.iter().zip(columns) {
                assert_eq!((name, value.as_str()), (column, *column));
            }
        }
    }

    #[test]
    fn the_text_of_a_known_kind_is_that_kind() {
        let typed = TypeChange::Other("school".to_owned()).into_fields();
        assert_eq!(typed.project_type, ProjectType::School);
    }
}
