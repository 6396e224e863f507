//! Creating a project.

use diesel::sql_types::Text;

use super::call::{Stop, View};
use super::change::NewProject;
use super::parent::{Set, Sets};
use super::read;
use super::record::ProjectRecord;
use crate::db::AnyConnection;
use crate::db::sql_types::{DbUuid, Timestamp};
use crate::db::statement::Statement;
use crate::mapping::PARENT;
use crate::subtype_rows::{RowWrite, write_row};

/// Inserts the parent row, and then its subtype row from it.
pub(super) fn create(
    connection: &mut AnyConnection,
    view: &View,
    new: &NewProject,
) -> Result<ProjectRecord, Stop> {
    let (id, now) = (new.id, Timestamp::now());
    let typed = new.details.clone().into_fields();
    let mut sets: Sets = vec![
        ("name", Set::Text(new.name.clone())),
        ("owner_id", Set::Integer(new.owner_id)),
        ("start_date", Set::Date(new.start_date)),
        ("end_date", Set::Date(new.end_date)),
        ("is_draft", Set::Bool(new.is_draft)),
        ("created_at", Set::Timestamp(now)),
        ("updated_at", Set::Timestamp(now)),
    ];
    if view.sides.has_legacy() {
        sets.extend(typed.fields.iter().map(|(column, value)| (*column, Set::Text(value.clone()))));
    }
    let columns: String = sets.iter().map(|(column, _)| format!(", {column}")).collect();
    let mut statement = Statement::new(format!("INSERT INTO {PARENT} (id, project_type{columns}) VALUES ("))
        .bind::<DbUuid, _>(id)
        .sql(", ")
        .bind::<Text, _>(typed.project_type.clone());
    for (column, set) in &sets {
        statement = set.push(statement.sql(", "), column);
    }
    statement.sql(")").execute(connection, format!("creating project {id}"))?;
    if let (Some(kind), Some(values)) = (typed.project_type.kind(), view.sides.row_values()) {
        write_row(connection, &RowWrite { id, kind, values, fields: typed.fields })?;
    }
    read::one(connection, view, id)
}
