//! The typed primary key of `projects_project`.

use std::fmt;
use std::str::FromStr;

use diesel::deserialize::{self, FromSql};
use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sqlite::Sqlite;
use diesel::{deserialize::FromSqlRow, expression::AsExpression};
use uuid::Uuid;

use crate::db::MultiBackend;
use crate::db::sql_types::{DbUuid, on_both_backends};
use diesel::sql_types::HasSqlType;

/// The id of a project: a UUID, random (version 4) when we or Django make it.
///
/// Ordered by its bytes, which is the order of `uuid` on PostgreSQL and of the hex text on SQLite alike.
/// Shown with hyphens; [`ProjectId::hex`] is Django's form on SQLite.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    AsExpression,
    FromSqlRow,
    serde::Serialize,
    serde::Deserialize,
)]
#[diesel(sql_type = DbUuid)]
#[serde(transparent)]
pub struct ProjectId(pub Uuid);

/// A text that is no project id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is no project id: expected a UUID in 32 hex digits, with or without hyphens")]
pub struct InvalidProjectId {
    text: String,
}

impl ProjectId {
    /// The greatest id there can be.
    pub const MAX: Self = Self(Uuid::max());

    /// The id before it; `None` for the least one.
    #[must_use]
    pub fn predecessor(&self) -> Option<Self> {
        self.0.as_u128().checked_sub(1).map(|before| Self(Uuid::from_u128(before)))
    }

    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// 32 lower-case hex digits, as Django stores it on SQLite.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.simple().to_string()
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectId({self})")
    }
}

impl FromStr for ProjectId {
    type Err = InvalidProjectId;

    fn from_str(text: &str) -> Result<Self, InvalidProjectId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidProjectId { text: text.to_owned() })
    }
}

on_both_backends!(DbUuid, ProjectId);

impl ToSql<DbUuid, Pg> for ProjectId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<DbUuid, Pg> for ProjectId {
    fn from_sql(value: diesel::pg::PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.as_bytes())?))
    }
}

impl ToSql<DbUuid, Sqlite> for ProjectId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.hex());
        Ok(IsNull::No)
    }
}

impl FromSql<DbUuid, Sqlite> for ProjectId {
    /// Refuses every spelling but the one that [`ToSql`] writes: a cursor that came back in another spelling
    /// would stand elsewhere in the order of the texts, and rows between the two would be passed over.
    fn from_sql(value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<diesel::sql_types::Text, Sqlite>>::from_sql(value)?;
        let id = Self::from_str(&text)?;
        if id.hex() == text {
            Ok(id)
        } else {
            Err(format!("project id {text:?} is not in 32 lower-case hex digits, as Django writes it").into())
        }
    }
}
