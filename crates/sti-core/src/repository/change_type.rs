//! Changing the type of a project.

use super::call::{Stop, View};
use super::change::TypeChange;
use super::parent::{self, Set, Sets};
use super::read;
use super::record::ProjectRecord;
use crate::db::sql_types::Timestamp;
use crate::db::{AnyConnection, dialect};
use crate::models::{Kind, ProjectId};
use crate::subtype_rows::delete_row;

/// Locks the parent, sets the old kind's legacy columns to NULL, writes the new kind's row and deletes the old one.
pub(super) fn change_type(
    connection: &mut AnyConnection,
    view: &View,
    id: ProjectId,
    change: &TypeChange,
) -> Result<ProjectRecord, Stop> {
    let old = parent::lock(connection, view, id, dialect::backend(connection).lock_rows())?;
    let new = change.clone().into_fields();
    // To the same type it is an update.
    let leaving = if old == new.project_type { None } else { old.kind() };
    let losing_row = leaving.filter(|_| view.sides.row_values().is_some());
    if let Some(kind) = losing_row {
        parent::refuse_pointers_of_others(connection, view, kind, id)?;
    }
    let mut sets: Sets = vec![
        ("project_type", Set::Text(new.project_type.as_str().to_owned())),
        ("updated_at", Set::Timestamp(Timestamp::now())),
    ];
    if view.sides.has_legacy() {
        let emptied = leaving.map_or(&[][..], Kind::columns);
        sets.extend(emptied.iter().map(|column| (*column, Set::Null)));
    }
    if let Some(kind) = losing_row.filter(|kind| view.facts.has_pointer(*kind)) {
        sets.push((kind.pointer(), Set::NotOwnRow));
    }
    parent::update(connection, view, id, sets, new.project_type.kind(), new.fields)?;
    if let Some(kind) = losing_row {
        delete_row(connection, kind, id)?;
    }
    read::one(connection, view, id)
}
