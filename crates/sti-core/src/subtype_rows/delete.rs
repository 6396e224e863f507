//! Taking one subtype row away.

use crate::db::sql_types::DbUuid;
use crate::db::statement::Statement;
use crate::db::{AnyConnection, DbError};
use crate::models::{Kind, ProjectId};

/// Deletes the row of `kind` that belongs to project `id`, if there is one. The caller holds the parent's lock and
/// has taken away the project's own pointer at the row.
pub(crate) fn delete_row(connection: &mut AnyConnection, kind: Kind, id: ProjectId) -> Result<(), DbError> {
    Statement::new(format!("DELETE FROM {} WHERE project_id = ", kind.table()))
        .bind::<DbUuid, _>(id)
        .execute(connection, format!("deleting the row of project {id} in {}", kind.table()))?;
    Ok(())
}
