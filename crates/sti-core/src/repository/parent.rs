//! The parent row: locking it, and changing it together with its subtype row.

use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{Bool, Date, Nullable, Text};

use super::call::{Stop, View};
use super::error::{Referrer, RepositoryError};
use super::read::drop_open;
use crate::db::sql_types::{DbInteger, DbTimestamp, DbUuid, Integer, Timestamp};
use crate::db::statement::Statement;
use crate::db::{AnyConnection, DbError};
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId, ProjectType};
use crate::subtype_rows::{Field, RowWrite, update_parent_and_row};

/// Locks the parent row with `clause` (a lock of [`crate::db::Backend`]) and gives its type. The first statement of
/// every write: subtype rows are locked after their parent, by everybody.
pub(super) fn lock(
    connection: &mut AnyConnection,
    view: &View,
    id: ProjectId,
    clause: &str,
) -> Result<ProjectType, Stop> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        project_type: ProjectType,
        #[diesel(sql_type = Bool)]
        drop_open: bool,
    }
    let columns = format!("p.project_type AS project_type, {} AS drop_open", drop_open(view.sides));
    let rows: Vec<Row> = Statement::new(format!("SELECT {columns} FROM {PARENT} p WHERE p.id = "))
        .bind::<DbUuid, _>(id)
        .sql(format!(" {clause}"))
        .load(connection, format!("locking project {id}"))?;
    match rows.into_iter().next() {
        None => Err(RepositoryError::NotFound { id }.into()),
        Some(row) if row.drop_open => Err(Stop::Stale),
        Some(row) => Ok(row.project_type),
    }
}

/// What a column of the parent row is set to.
#[derive(Clone, Debug)]
pub(super) enum Set {
    Text(String),
    Bool(bool),
    Date(Option<NaiveDate>),
    Integer(Integer),
    Timestamp(Timestamp),
    Null,
    /// A pointer at the project's own subtype row becomes NULL; one at another row stays.
    NotOwnRow,
}

impl Set {
    /// Adds the value to a statement.
    pub(super) fn push(&self, statement: Statement, column: &str) -> Statement {
        match self {
            Self::Text(value) => statement.bind::<Text, _>(value.clone()),
            Self::Bool(value) => statement.bind::<Bool, _>(*value),
            Self::Date(value) => statement.bind::<Nullable<Date>, _>(*value),
            Self::Integer(value) => statement.bind::<DbInteger, _>(*value),
            Self::Timestamp(value) => statement.bind::<DbTimestamp, _>(*value),
            Self::Null => statement.sql("NULL"),
            Self::NotOwnRow => statement.sql(format!("NULLIF({column}, id)")),
        }
    }
}

/// The columns of a parent row that a call sets, in the order in which they are named.
pub(super) type Sets = Vec<(&'static str, Set)>;

/// Updates the locked parent row, and writes its subtype row if it is of a known kind and the mode writes rows.
/// `fields` are the caller's; they go to the legacy columns too, where those exist.
pub(super) fn update(
    connection: &mut AnyConnection,
    view: &View,
    id: ProjectId,
    mut sets: Sets,
    kind: Option<Kind>,
    fields: Vec<Field>,
) -> Result<(), DbError> {
    if view.sides.has_legacy() {
        sets.extend(fields.iter().map(|(column, value)| (*column, Set::Text(value.clone()))));
    }
    match (kind, view.sides.row_values()) {
        (Some(kind), Some(values)) => {
            let row = RowWrite { id, kind, values, fields };
            update_parent_and_row(connection, |statement| push_update(statement, id, &sets), &row)
        }
        _ => push_update(Statement::new(""), id, &sets)
            .execute(connection, format!("writing project {id}"))
            .map(|_| ()),
    }
}

fn push_update(statement: Statement, id: ProjectId, sets: &Sets) -> Statement {
    let mut statement = statement.sql(format!("UPDATE {PARENT} SET "));
    for (nth, (column, set)) in sets.iter().enumerate() {
        let comma = if nth == 0 { "" } else { ", " };
        statement = set.push(statement.sql(format!("{comma}{column} = ")), column);
    }
    statement.sql(" WHERE id = ").bind::<DbUuid, _>(id)
}

/// Refuses if another project's pointer column of `kind` points at the row of `id`.
pub(super) fn refuse_pointers_of_others(
    connection: &mut AnyConnection,
    view: &View,
    kind: Kind,
    id: ProjectId,
) -> Result<(), RepositoryError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbUuid)]
        id: ProjectId,
    }
    if !view.facts.has_pointer(kind) {
        return Ok(());
    }
    let column = kind.pointer();
    let rows: Vec<Row> = Statement::new(format!("SELECT id FROM {PARENT} WHERE {column} = "))
        .bind::<DbUuid, _>(id)
        .sql(" AND id <> ")
        .bind::<DbUuid, _>(id)
        .sql(" ORDER BY id LIMIT 10")
        .load(connection, format!("looking for {column} at project {id}"))?;
    if rows.is_empty() {
        return Ok(());
    }
    let ids = rows.into_iter().map(|row| row.id).collect();
    Err(RepositoryError::Referenced { id: Some(id), referrer: Referrer::Projects { column, ids } })
}
