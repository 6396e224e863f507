//! What a repair does to subtype rows, for a set of projects at once. Whoever calls holds the locks and has looked.

use diesel::RunQueryDsl as _;

use crate::db::error::{DbError, Doing as _};
use crate::db::{AnyConnection, dialect};
use crate::keyset::in_sql;
use crate::mapping::{PARENT, any_differs_sql, mapped_list_sql, mapped_sql};
use crate::models::{Kind, ProjectId};

/// Sets every column of the rows of `kind` that differ from the legacy columns; gives the number of rows.
pub(crate) fn update_from_legacy(
    connection: &mut AnyConnection,
    kind: Kind,
    ids: &[ProjectId],
) -> Result<i64, DbError> {
    let backend = dialect::backend(connection);
    let set: Vec<String> =
        kind.columns().iter().map(|column| format!("{column} = {}", mapped_sql("p", column))).collect();
    let sql = format!(
        "UPDATE {table} AS r SET {} FROM {PARENT} p WHERE p.id = r.project_id AND {} AND {} AND {}",
        set.join(", "),
        in_sql("p.id", ids.iter().copied()),
        in_sql("r.project_id", ids.iter().copied()),
        any_differs_sql(kind, "p", "r", backend.exact()),
        table = kind.table(),
    );
    execute(connection, sql, format!("updating {} from the legacy columns", kind.table()))
}

/// Makes the rows of `kind` that are not there from the legacy columns; gives the number of rows.
pub(crate) fn create_from_legacy(
    connection: &mut AnyConnection,
    kind: Kind,
    ids: &[ProjectId],
) -> Result<i64, DbError> {
    let sql = format!(
        "INSERT INTO {table} (project_id, {}) SELECT p.id, {} FROM {PARENT} p WHERE {} \
         ON CONFLICT (project_id) DO NOTHING",
        kind.columns().join(", "),
        mapped_list_sql(kind, "p"),
        in_sql("p.id", ids.iter().copied()),
        table = kind.table(),
    );
    execute(connection, sql, format!("making rows of {}", kind.table()))
}

/// Deletes the rows of `kind`; gives the number of rows.
pub(crate) fn delete(connection: &mut AnyConnection, kind: Kind, ids: &[ProjectId]) -> Result<i64, DbError> {
    let sql = format!("DELETE FROM {} WHERE {}", kind.table(), in_sql("project_id", ids.iter().copied()));
    execute(connection, sql, format!("deleting rows of {}", kind.table()))
}

fn execute(connection: &mut AnyConnection, sql: String, doing: String) -> Result<i64, DbError> {
    let rows = diesel::sql_query(sql).execute(connection).doing(doing)?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}
