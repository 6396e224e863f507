//! Whether the legacy columns are back and not yet filled. Until they are, the subtype rows are the only live values,
//! and nothing may be copied from the legacy columns.

use diesel::RunQueryDsl as _;
use diesel::sql_types::Bool;

use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, catalog};
use crate::mapping::PARENT;

/// What somebody is told who would copy from the legacy columns meanwhile.
pub(crate) const REFUSAL: &str = "the legacy columns are being restored and are not filled yet, so the subtype rows \
                                  are the only right values: end it with `sti-migrate restore-legacy`, then run this \
                                  again";

/// Whether a drop is on record that is not taken back, with projects that its refill has not come to.
///
/// # Errors
/// Whatever the database says.
pub(crate) fn is_under_way(connection: &mut AnyConnection) -> Result<bool, DbError> {
    Ok(can_be_recorded(connection)? && is_recorded(connection)?)
}

/// Whether there is the table that would say so.
///
/// # Errors
/// Whatever the database says.
pub(crate) fn can_be_recorded(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let columns = catalog::columns(connection, "sti_drop_event")?;
    Ok(columns.iter().any(|column| column.name == "refilled_through"))
}

/// [`is_under_way`], where the table is known to be there: for the transactions of those who have begun to copy. One
/// that has locked projects keeps the first step of a restore out until it has committed.
///
/// # Errors
/// Whatever the database says.
pub(crate) fn is_recorded(connection: &mut AnyConnection) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        under_way: bool,
    }
    let row: Row = diesel::sql_query(format!(
        "SELECT EXISTS (SELECT 1 FROM sti_drop_event e WHERE e.restored_at IS NULL AND \
            CASE WHEN e.refilled_through IS NULL THEN EXISTS (SELECT 1 FROM {PARENT}) \
                 ELSE EXISTS (SELECT 1 FROM {PARENT} p WHERE p.id > e.refilled_through) END) AS under_way"
    ))
    .get_result(connection)
    .doing("asking whether a restore is under way")?;
    Ok(row.under_way)
}
