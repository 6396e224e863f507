//! The application's pointers at subtype rows: `school_project_id` and `self_study_project_id` of
//! `projects_project`, where these columns exist. We never set them; a row that must go may be pointed at.

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, catalog, dialect};
use crate::keyset::in_sql;
use crate::mapping::{PARENT, is_kind_sql};
use crate::models::{Kind, ProjectId};

use super::change::Direction;

/// The most pointers that a refusal names.
pub const MAX_POINTERS: usize = 1_000;

/// A pointer from one project at the subtype row of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The project that points.
    pub from: ProjectId,
    /// The project whose row it points at.
    pub to: ProjectId,
    /// The kind of the row; [`Kind::pointer`] is the column.
    pub kind: Kind,
}

/// The kinds whose pointer column exists.
pub(super) fn kinds_with_pointer(connection: &mut AnyConnection) -> Result<Vec<Kind>, DbError> {
    let columns = catalog::columns(connection, PARENT)?;
    let exists = |kind: &Kind| columns.iter().any(|column| column.name == kind.pointer());
    Ok(Kind::ALL.into_iter().filter(exists).collect())
}

/// SQL: FROM and WHERE of the pointers, in `q`, at rows of `kind` that a repair deletes.
fn at_rows_that_go(direction: Direction, kind: Kind, exact: &str) -> String {
    let wrong = is_kind_sql(kind.other(), "p", exact);
    let goes = match direction {
        Direction::Legacy => format!("p.id IS NULL OR {wrong}"),
        Direction::Subtype => format!("{wrong} AND o.project_id IS NOT NULL"),
    };
    format!(
        "{PARENT} q JOIN {} r ON r.project_id = q.{} LEFT JOIN {PARENT} p ON p.id = r.project_id \
         LEFT JOIN {} o ON o.project_id = r.project_id WHERE ({goes})",
        kind.table(),
        kind.pointer(),
        kind.other().table(),
    )
}

/// Own pointers at rows of `kind` that a repair deletes; it sets them to NULL.
pub(super) fn count_own(
    connection: &mut AnyConnection,
    direction: Direction,
    kind: Kind,
) -> Result<i64, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let from = at_rows_that_go(direction, kind, dialect::backend(connection).exact());
    let sql = format!("SELECT count(*) AS count FROM {from} AND q.id = q.{}", kind.pointer());
    let row: Count = diesel::sql_query(sql).get_result(connection).doing(reading(kind))?;
    Ok(row.count)
}

/// Pointers of other projects at rows of `kind` that a repair deletes: it refuses.
pub(super) fn foreign(
    connection: &mut AnyConnection,
    direction: Direction,
    kind: Kind,
) -> Result<Vec<Pointer>, DbError> {
    let from = at_rows_that_go(direction, kind, dialect::backend(connection).exact());
    load(connection, kind, &from)
}

/// Pointers of other projects at these rows of `kind`.
pub(super) fn foreign_at(
    connection: &mut AnyConnection,
    kind: Kind,
    rows: &[ProjectId],
) -> Result<Vec<Pointer>, DbError> {
    let at = in_sql(&format!("q.{}", kind.pointer()), rows.iter().copied());
    load(connection, kind, &format!("{PARENT} q WHERE {at}"))
}

fn load(connection: &mut AnyConnection, kind: Kind, from: &str) -> Result<Vec<Pointer>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbUuid)]
        from_id: ProjectId,
        #[diesel(sql_type = DbUuid)]
        to_id: ProjectId,
    }
    let pointer = kind.pointer();
    let sql = format!(
        "SELECT q.id AS from_id, q.{pointer} AS to_id FROM {from} AND q.id <> q.{pointer} \
         ORDER BY q.id LIMIT {MAX_POINTERS}"
    );
    let rows: Vec<Row> = diesel::sql_query(sql).load(connection).doing(reading(kind))?;
    Ok(rows.into_iter().map(|row| Pointer { from: row.from_id, to: row.to_id, kind }).collect())
}

fn reading(kind: Kind) -> String {
    format!("reading the pointers in {PARENT}.{}", kind.pointer())
}
