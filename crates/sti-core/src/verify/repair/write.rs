//! The statements of a chunk that write: the before-images, then the changes. Both choose their rows by the same
//! condition, so that a change without its image, or an image without its change, shows in the counts.

use diesel::RunQueryDsl as _;
use diesel::sql_types::Text;

use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, DbError, dialect};
use crate::keyset::in_sql;
use crate::mapping::{LEGACY_COLUMNS, PARENT, any_differs_sql, differs_sql};
use crate::models::{Kind, ProjectId};
use crate::subtype_rows;

use super::change::{Change, Direction};

/// What a row of the log says beside the change itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) direction: Direction,
    pub(super) digest: &'a str,
}

/// Logs the before-image of every row that `change` is about to change; gives their number.
pub(super) fn log(
    connection: &mut AnyConnection,
    change: Change,
    kind: Kind,
    ids: &[ProjectId],
    entry: Entry<'_>,
) -> Result<i64, DbError> {
    let backend = dialect::backend(connection);
    let (id, image, from) = source_sql(change, kind, ids, backend);
    let sql = format!(
        "INSERT INTO sti_repair_log \
         (repaired_at, digest, direction, project_id, table_name, action, before_image) \
         SELECT {}, $1, $2, {id}, '{}', '{change}', {image} FROM {from}",
        backend.now(),
        change.table(kind),
    );
    let rows = diesel::sql_query(sql)
        .bind::<Text, _>(entry.digest)
        .bind::<Text, _>(entry.direction.as_str())
        .execute(connection)
        .doing(format!("logging the before-images of {change}"))?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// SQL: the id, the before-image, and the FROM clause with its condition.
fn source_sql(
    change: Change,
    kind: Kind,
    ids: &[ProjectId],
    backend: Backend,
) -> (&'static str, String, String) {
    let ids = || ids.iter().copied();
    let table = kind.table();
    let both = || {
        format!(
            "{PARENT} p JOIN {table} r ON r.project_id = p.id WHERE {} AND {} AND {}",
            in_sql("p.id", ids()),
            in_sql("r.project_id", ids()),
            any_differs_sql(kind, "p", "r", backend.exact()),
        )
    };
    let row = || image_sql("r", std::iter::once("project_id").chain(kind.columns().iter().copied()), backend);
    match change {
        Change::UpdateRow => ("p.id", row(), both()),
        Change::UpdateLegacy => ("p.id", image_sql("p", LEGACY_COLUMNS, backend), both()),
        Change::DeleteRow | Change::DeleteOrphan => {
            ("r.project_id", row(), format!("{table} r WHERE {}", in_sql("r.project_id", ids())))
        }
        Change::CreateRow => (
            "p.id",
            "CAST(NULL AS text)".to_owned(),
            format!(
                "{PARENT} p WHERE {} AND NOT EXISTS (SELECT 1 FROM {table} r WHERE r.project_id = p.id AND {})",
                in_sql("p.id", ids()),
                in_sql("r.project_id", ids())
            ),
        ),
        Change::ClearPointer => (
            "p.id",
            image_sql("p", [kind.pointer()], backend),
            format!("{PARENT} p WHERE {} AND p.{} = p.id", in_sql("p.id", ids()), kind.pointer()),
        ),
    }
}

fn image_sql(alias: &str, columns: impl IntoIterator<Item = &'static str>, backend: Backend) -> String {
    let pairs: Vec<String> =
        columns.into_iter().map(|column| format!("'{column}', {alias}.{column}")).collect();
    format!("CAST({}({}) AS text)", backend.json_object(), pairs.join(", "))
}

/// Makes the change; gives the number of rows.
pub(super) fn apply(
    connection: &mut AnyConnection,
    change: Change,
    kind: Kind,
    ids: &[ProjectId],
) -> Result<i64, DbError> {
    match change {
        Change::UpdateRow => subtype_rows::repair::update_from_legacy(connection, kind, ids),
        Change::CreateRow => subtype_rows::repair::create_from_legacy(connection, kind, ids),
        Change::DeleteRow | Change::DeleteOrphan => subtype_rows::repair::delete(connection, kind, ids),
        Change::UpdateLegacy => update_legacy(connection, kind, ids),
        Change::ClearPointer => clear_pointer(connection, kind, ids),
    }
}

/// Sets the legacy columns that differ, and no other: an untouched NULL stays NULL.
fn update_legacy(connection: &mut AnyConnection, kind: Kind, ids: &[ProjectId]) -> Result<i64, DbError> {
    let exact = dialect::backend(connection).exact();
    let set = kind.columns().iter().map(|column| {
        let differs = differs_sql("p", "r", column, exact);
        format!("{column} = CASE WHEN {differs} THEN r.{column} ELSE p.{column} END")
    });
    let sql = format!(
        "UPDATE {PARENT} AS p SET {} FROM {} r WHERE r.project_id = p.id AND {} AND {} AND {}",
        set.collect::<Vec<_>>().join(", "),
        kind.table(),
        in_sql("p.id", ids.iter().copied()),
        in_sql("r.project_id", ids.iter().copied()),
        any_differs_sql(kind, "p", "r", exact),
    );
    execute(connection, sql, "updating the legacy columns from the subtype rows")
}

fn clear_pointer(connection: &mut AnyConnection, kind: Kind, ids: &[ProjectId]) -> Result<i64, DbError> {
    let pointer = kind.pointer();
    let sql = format!(
        "UPDATE {PARENT} SET {pointer} = NULL WHERE {} AND {pointer} = id",
        in_sql("id", ids.iter().copied())
    );
    execute(connection, sql, "clearing a project's own pointers")
}

fn execute(connection: &mut AnyConnection, sql: String, doing: &str) -> Result<i64, DbError> {
    let rows = diesel::sql_query(sql).execute(connection).doing(doing)?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}
