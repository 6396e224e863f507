//! Reading: one query for each call, whatever side it takes.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::call::{Stop, View};
use super::error::RepositoryError;
use super::facts::{DROP_OPEN, Sides};
use super::record::{Details, ProjectRecord, SchoolDetails, SelfStudyDetails};
use crate::db::AnyConnection;
use crate::db::sql_types::DbUuid;
use crate::db::statement::Statement;
use crate::mapping::PARENT;
use crate::models::{Kind, Project, ProjectId};

/// Which projects to list: those after a key, in the order of their keys.
///
/// The next page begins after the last id of this one; a page with fewer projects than `limit` is the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only projects with a greater key.
    pub after: Option<ProjectId>,
    /// At most so many.
    pub limit: u32,
    /// Only projects of this kind.
    pub kind: Option<Kind>,
    /// Only drafts, or only projects that are published.
    pub is_draft: Option<bool>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(embed)]
    project: Project,
    #[diesel(sql_type = Nullable<Text>)]
    course_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    course_code: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    teacher_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    goal_description: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    study_frequency: Option<String>,
    #[diesel(sql_type = Bool)]
    drop_open: bool,
}

impl Row {
    fn into_record(self) -> ProjectRecord {
        let details = match self.project.project_type.kind() {
            Some(Kind::School) => Details::School(SchoolDetails {
                course_name: self.course_name.unwrap_or_default(),
                course_code: self.course_code.unwrap_or_default(),
                teacher_name: self.teacher_name.unwrap_or_default(),
            }),
            Some(Kind::SelfStudy) => Details::SelfStudy(SelfStudyDetails {
                goal_description: self.goal_description.unwrap_or_default(),
                study_frequency: self.study_frequency.unwrap_or_default(),
            }),
            None => Details::None,
        };
        ProjectRecord { project: self.project, details }
    }
}

/// The project `id`.
pub(super) fn one(connection: &mut AnyConnection, view: &View, id: ProjectId) -> Result<ProjectRecord, Stop> {
    let statement = select(view.sides).sql(" WHERE p.id = ").bind::<DbUuid, _>(id);
    let rows = load(connection, statement, format!("reading project {id}"))?;
    rows.into_iter().next().ok_or_else(|| RepositoryError::NotFound { id }.into())
}

/// The projects that `query` asks for.
pub(super) fn list(
    connection: &mut AnyConnection,
    view: &View,
    query: &ListQuery,
) -> Result<Vec<ProjectRecord>, Stop> {
    let mut statement = select(view.sides).sql(" WHERE TRUE");
    if let Some(after) = query.after {
        statement = statement.sql(" AND p.id > ").bind::<DbUuid, _>(after);
    }
    if let Some(kind) = query.kind {
        statement = statement.sql(" AND p.project_type = ").bind::<Text, _>(kind.as_str());
    }
    if let Some(is_draft) = query.is_draft {
        statement = statement.sql(" AND p.is_draft = ").bind::<Bool, _>(is_draft);
    }
    let statement = statement.sql(" ORDER BY p.id LIMIT ").bind::<BigInt, _>(i64::from(query.limit));
    load(connection, statement, "listing projects".to_owned())
}

fn load(
    connection: &mut AnyConnection,
    statement: Statement,
    doing: String,
) -> Result<Vec<ProjectRecord>, Stop> {
    let rows: Vec<Row> = statement.load(connection, doing)?;
    if rows.iter().any(|row| row.drop_open) {
        return Err(Stop::Stale);
    }
    Ok(rows.into_iter().map(Row::into_record).collect())
}

/// `SELECT … FROM …` of every column of [`Row`].
fn select(sides: Sides) -> Statement {
    let mut statement = Statement::new(format!(
        "SELECT p.id AS id, p.name AS name, p.project_type AS project_type, p.owner_id AS owner_id, \
         p.start_date AS start_date, p.end_date AS end_date, p.is_draft AS is_draft, \
         p.created_at AS created_at, p.updated_at AS updated_at, {} AS drop_open",
        drop_open(sides)
    ));
    for kind in Kind::ALL {
        let source = if sides.reads_legacy() { "p" } else { kind.as_str() };
        for column in kind.columns() {
            statement = statement.sql(format!(", {source}.{column} AS {column}"));
        }
    }
    statement = statement.sql(format!(" FROM {PARENT} p"));
    if !sides.reads_legacy() {
        for kind in Kind::ALL {
            let join = format!(" LEFT JOIN {} {kind} ON {kind}.project_id = p.id", kind.table());
            statement = statement.sql(join);
        }
    }
    statement
}

/// SQL: true if a drop is on record, for calls that go by the legacy columns. A service that was idle from the drop
/// to the restore would otherwise take columns that are still being filled for the truth.
pub(super) const fn drop_open(sides: Sides) -> &'static str {
    match sides {
        Sides::BothReadLegacy => DROP_OPEN,
        Sides::LegacyOnly | Sides::BothReadSubtype | Sides::SubtypeOnly => "FALSE",
    }
}
