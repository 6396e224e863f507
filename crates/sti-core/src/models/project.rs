//! The columns that every project has.

use chrono::NaiveDate;
use diesel::prelude::*;

use super::{ProjectId, ProjectType};
use crate::db::sql_types::{Integer, Timestamp};
use crate::schema::projects_project;

/// A row of `projects_project` without its legacy columns, so that it reads the same after the drop.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, QueryableByName, Selectable, Identifiable)]
#[diesel(table_name = projects_project)]
pub struct Project {
    /// The primary key.
    pub id: ProjectId,
    /// At most 255 characters.
    pub name: String,
    /// The kind, or an unknown text out of old data.
    pub project_type: ProjectType,
    /// A row of the application's user table, which is not ours.
    pub owner_id: Integer,
    /// First day, if it is set.
    pub start_date: Option<NaiveDate>,
    /// Last day, if it is set.
    pub end_date: Option<NaiveDate>,
    /// Not published yet.
    pub is_draft: bool,
    /// When the row was made, UTC.
    pub created_at: Timestamp,
    /// When the row was last changed through the application, UTC.
    pub updated_at: Timestamp,
}
