//! Deleting a project.

use super::call::{Stop, View};
use super::parent;
use crate::db::sql_types::DbUuid;
use crate::db::statement::Statement;
use crate::db::{AnyConnection, dialect};
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId};
use crate::subtype_rows::delete_row;

/// Locks the parent, then deletes its subtype rows of both kinds (Django's foreign keys do not cascade), then it.
pub(super) fn delete(connection: &mut AnyConnection, view: &View, id: ProjectId) -> Result<(), Stop> {
    parent::lock(connection, view, id, dialect::backend(connection).lock_rows_for_delete())?;
    for kind in Kind::ALL {
        parent::refuse_pointers_of_others(connection, view, kind, id)?;
    }
    let pointers = Kind::ALL.into_iter().filter(|kind| view.facts.has_pointer(*kind));
    let nulls: Vec<String> = pointers.map(|kind| format!("{} = NULL", kind.pointer())).collect();
    if !nulls.is_empty() {
        Statement::new(format!("UPDATE {PARENT} SET {} WHERE id = ", nulls.join(", ")))
            .bind::<DbUuid, _>(id)
            .execute(connection, format!("taking away the pointers of project {id}"))?;
    }
    for kind in view.facts.tables() {
        delete_row(connection, kind, id)?;
    }
    Statement::new(format!("DELETE FROM {PARENT} WHERE id = "))
        .bind::<DbUuid, _>(id)
        .execute(connection, format!("deleting project {id}"))?;
    Ok(())
}
