//! Changing the fields of a project.

use super::call::{Stop, View};
use super::change::{DetailsPatch, ProjectPatch, TypedFields};
use super::error::RepositoryError;
use super::parent::{self, Set, Sets};
use super::read;
use super::record::ProjectRecord;
use crate::db::sql_types::Timestamp;
use crate::db::{AnyConnection, dialect};
use crate::models::{ProjectId, ProjectType};

/// Locks the parent, then writes the fields that the patch touches, and the subtype row.
pub(super) fn update(
    connection: &mut AnyConnection,
    view: &View,
    id: ProjectId,
    patch: &ProjectPatch,
) -> Result<ProjectRecord, Stop> {
    let found = parent::lock(connection, view, id, dialect::backend(connection).lock_rows())?;
    let details = patch.details.clone().map(DetailsPatch::into_fields);
    let fields = fields_for(id, found.clone(), details)?;
    parent::update(connection, view, id, sets_of(patch), found.kind(), fields)?;
    read::one(connection, view, id)
}

fn fields_for(
    id: ProjectId,
    found: ProjectType,
    details: Option<TypedFields>,
) -> Result<Vec<crate::subtype_rows::Field>, RepositoryError> {
    let Some(TypedFields { project_type, fields }) = details else { return Ok(Vec::new()) };
    match project_type.kind() {
        Some(expected) if found.kind() != Some(expected) => {
            Err(RepositoryError::TypeMismatch { id, expected, found })
        }
        _ => Ok(fields),
    }
}

fn sets_of(patch: &ProjectPatch) -> Sets {
    let touched = [
        ("name", patch.name.clone().map(Set::Text)),
        ("owner_id", patch.owner_id.map(Set::Integer)),
        ("start_date", patch.start_date.map(Set::Date)),
        ("end_date", patch.end_date.map(Set::Date)),
        ("is_draft", patch.is_draft.map(Set::Bool)),
        ("updated_at", Some(Set::Timestamp(Timestamp::now()))),
    ];
    touched.into_iter().filter_map(|(column, set)| Some((column, set?))).collect()
}
