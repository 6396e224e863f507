//! What a project is: the text in `project_type`, and the two kinds that have a subtype table.

use std::fmt;

use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use diesel::{backend::Backend, deserialize::FromSqlRow, expression::AsExpression};

/// One of the two kinds of project that have a subtype table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `school`, with its row in `projects_schoolproject`.
    School,
    /// `self_study`, with its row in `projects_selfstudyproject`.
    SelfStudy,
}

impl Kind {
    /// Both kinds, in the order in which they are always reported.
    pub const ALL: [Self; 2] = [Self::School, Self::SelfStudy];

    /// The text in `project_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::School => "school",
            Self::SelfStudy => "self_study",
        }
    }

    /// The other kind.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::School => Self::SelfStudy,
            Self::SelfStudy => Self::School,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text in `project_type`: a known kind, or whatever old data holds. It round-trips unchanged.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, AsExpression, FromSqlRow, serde::Serialize, serde::Deserialize,
)]
#[diesel(sql_type = Text)]
#[serde(from = "String", into = "String")]
pub enum ProjectType {
    /// `school`
    School,
    /// `self_study`
    SelfStudy,
    /// Any other text, `SCHOOL` and the empty one included. Such a project has no subtype row.
    Other(String),
}

impl ProjectType {
    /// The text as the column holds it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self.kind() {
            Some(kind) => kind.as_str(),
            None => match self {
                Self::Other(text) => text,
                Self::School | Self::SelfStudy => "",
            },
        }
    }

    /// The kind, if it is one that has a subtype table.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::School => Some(Kind::School),
            Self::SelfStudy => Some(Kind::SelfStudy),
            Self::Other(_) => None,
        }
    }
}

impl From<Kind> for ProjectType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::School => Self::School,
            Kind::SelfStudy => Self::SelfStudy,
        }
    }
}

impl From<String> for ProjectType {
    fn from(text: String) -> Self {
        match Kind::ALL.into_iter().find(|kind| kind.as_str() == text) {
            Some(kind) => kind.into(),
            None => Self::Other(text),
        }
    }
}

impl From<&str> for ProjectType {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<ProjectType> for String {
    fn from(project_type: ProjectType) -> Self {
        project_type.as_str().to_owned()
    }
}

impl fmt::Display for ProjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<DB: Backend> ToSql<Text, DB> for ProjectType
where
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.as_str().to_sql(out)
    }
}

impl<DB: Backend> FromSql<Text, DB> for ProjectType
where
    String: FromSql<Text, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        String::from_sql(value).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_round_trips() {
        for text in ["school", "self_study", "", "SCHOOL", "legacy_other", " school"] {
            assert_eq!(ProjectType::from(text).as_str(), text);
        }
        assert_eq!(ProjectType::from("SCHOOL").kind(), None);
    }
}
