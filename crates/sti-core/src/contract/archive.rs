//! The archive: both sides of every project as they were, kept under the event of the drop.

use diesel::sql_types::BigInt;
use diesel::{OptionalExtension as _, RunQueryDsl as _};

use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, dialect};
use crate::keyset::in_sql;
use crate::mapping::{LEGACY_COLUMNS, PARENT, holds_value_sql, is_kind_sql};
use crate::models::{Kind, ProjectId};

/// What the names of the archive's columns for a subtype row of `kind` begin with.
const fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::School => "school",
        Kind::SelfStudy => "self_study",
    }
}

/// Archives every project under `event`; gives their number. The values are copied as they are, inside the database.
pub(super) fn archive(connection: &mut AnyConnection, event: i64) -> Result<i64, DbError> {
    archive_those(connection, event, &|_| "TRUE".to_owned())
}

/// The same for the projects `ids`.
pub(super) fn archive_of(
    connection: &mut AnyConnection,
    event: i64,
    ids: &[ProjectId],
) -> Result<i64, DbError> {
    archive_those(connection, event, &|key| in_sql(key, ids.iter().copied()))
}

fn archive_those(
    connection: &mut AnyConnection,
    event: i64,
    chosen: &dyn Fn(&str) -> String,
) -> Result<i64, DbError> {
    let rows = diesel::sql_query(archive_sql(chosen))
        .bind::<BigInt, _>(event)
        .execute(connection)
        .doing("archiving both sides of every project")?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// How many projects are archived under `event`.
pub(super) fn archived(connection: &mut AnyConnection, event: i64) -> Result<i64, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let sql = "SELECT count(*) AS rows FROM sti_legacy_archive WHERE event_id = $1";
    let row: Row = diesel::sql_query(sql)
        .bind::<BigInt, _>(event)
        .get_result(connection)
        .doing("counting the rows of sti_legacy_archive")?;
    Ok(row.rows)
}

/// What the archive says of some projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub(super) struct ArchivedOf {
    /// Those of unknown type.
    #[diesel(sql_type = BigInt)]
    pub(super) unknown: i64,
    /// Those of a known type with a value in the other kind's columns.
    #[diesel(sql_type = BigInt)]
    pub(super) stray: i64,
}

/// What is archived under `event` of the projects `ids`.
pub(super) fn archived_of(
    connection: &mut AnyConnection,
    event: i64,
    ids: &[ProjectId],
) -> Result<ArchivedOf, DbError> {
    let exact = dialect::backend(connection).exact();
    let [school, self_study] = Kind::ALL.map(|kind| is_kind_sql(kind, "a", exact));
    let stray = Kind::ALL.map(|kind| {
        format!("({} AND {})", is_kind_sql(kind, "a", exact), holds_value_sql(kind.other(), "a", exact))
    });
    let sum = |condition: &str| {
        format!("CAST(COALESCE(sum(CASE WHEN {condition} THEN 1 ELSE 0 END), 0) AS bigint)")
    };
    diesel::sql_query(format!(
        "SELECT {} AS unknown, {} AS stray FROM sti_legacy_archive a WHERE a.event_id = $1 AND {}",
        sum(&format!("NOT ({school} OR {self_study})")),
        sum(&stray.join(" OR ")),
        in_sql("a.project_id", ids.iter().copied()),
    ))
    .bind::<BigInt, _>(event)
    .get_result(connection)
    .doing("reading what is archived of some projects")
}

/// Takes the projects `ids` out of the archive of a drop that is not made yet; gives how many were in it.
pub(super) fn unarchive(
    connection: &mut AnyConnection,
    event: i64,
    ids: &[ProjectId],
) -> Result<i64, DbError> {
    let rows = diesel::sql_query(format!(
        "DELETE FROM sti_legacy_archive WHERE event_id = $1 AND {}",
        in_sql("project_id", ids.iter().copied())
    ))
    .bind::<BigInt, _>(event)
    .execute(connection)
    .doing("taking projects out of the archive that have changed")?;
    Ok(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// A chunk of the archive that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deleted {
    pub(super) rows: i64,
    /// The greatest id of it.
    pub(super) through: ProjectId,
}

/// Deletes the next `size` rows of `event` behind `after` (or the first ones); `None` if there are none. Reads no more
/// than these, and not again past those that were deleted before.
pub(super) fn delete_behind(
    connection: &mut AnyConnection,
    event: i64,
    after: Option<ProjectId>,
    size: u32,
) -> Result<Option<Deleted>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbUuid)]
        project_id: ProjectId,
    }
    dialect::read_in_order(connection).doing("limiting the transaction")?;
    let behind = after.map(|id| format!(" AND project_id > '{}'", id.hex())).unwrap_or_default();
    let last: Option<Row> = diesel::sql_query(format!(
        "SELECT project_id FROM (SELECT project_id FROM sti_legacy_archive WHERE event_id = $1{behind} \
         ORDER BY project_id LIMIT {size}) page ORDER BY project_id DESC LIMIT 1"
    ))
    .bind::<BigInt, _>(event)
    .get_result(connection)
    .optional()
    .doing("reading the next rows of sti_legacy_archive")?;
    let Some(Row { project_id: through }) = last else { return Ok(None) };
    let rows = diesel::sql_query(format!(
        "DELETE FROM sti_legacy_archive WHERE event_id = $1{behind} AND project_id <= '{}'",
        through.hex()
    ))
    .bind::<BigInt, _>(event)
    .execute(connection)
    .doing("deleting rows of sti_legacy_archive")?;
    Ok(Some(Deleted { rows: i64::try_from(rows).unwrap_or(i64::MAX), through }))
}

/// Gives the room of deleted rows back, so that whoever looks for the first one does not read past all of them. Where that
/// fails, it takes longer, and nothing else. Not inside a transaction.
pub(super) fn vacuum(connection: &mut AnyConnection) {
    let _ = dialect::vacuum(connection, "sti_legacy_archive");
}

/// Whether the archive of `event` has rows up to `through`.
pub(super) fn has_rows_up_to(
    connection: &mut AnyConnection,
    event: i64,
    through: ProjectId,
) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let row: Row = diesel::sql_query(format!(
        "SELECT count(*) AS rows FROM (SELECT 1 FROM sti_legacy_archive WHERE event_id = $1 AND project_id <= '{}' \
         LIMIT 1) AS page",
        through.hex()
    ))
    .bind::<BigInt, _>(event)
    .get_result(connection)
    .doing("looking for rows of sti_legacy_archive")?;
    Ok(row.rows > 0)
}

/// SQL: the statement; its only placeholder is the event. `chosen` makes a condition of a key, which is said of each table, so
/// that none is read beyond it.
fn archive_sql(chosen: &dyn Fn(&str) -> String) -> String {
    let mut columns = vec!["event_id".to_owned(), "project_id".to_owned(), "project_type".to_owned()];
    let mut values = vec!["$1".to_owned(), "p.id".to_owned(), "p.project_type".to_owned()];
    for column in LEGACY_COLUMNS {
        columns.push(column.to_owned());
        values.push(format!("p.{column}"));
    }
    let mut joins = Vec::new();
    for kind in Kind::ALL {
        let (prefix, table) = (prefix(kind), kind.table());
        let key = format!("{prefix}.project_id");
        joins.push(format!(" LEFT JOIN {table} {prefix} ON {key} = p.id AND {}", chosen(&key)));
        columns.push(format!("has_{prefix}"));
        values.push(format!("{prefix}.project_id IS NOT NULL"));
        for column in kind.columns() {
            columns.push(format!("{prefix}_{column}"));
            values.push(format!("{prefix}.{column}"));
        }
    }
    format!(
        "INSERT INTO sti_legacy_archive ({}) SELECT {} FROM {PARENT} p{} WHERE {}",
        columns.join(", "),
        values.join(", "),
        joins.concat(),
        chosen("p.id"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_copied_column_by_column() {
        insta::assert_snapshot!(archive_sql(&|_| "TRUE".to_owned()), @"INSERT INTO sti_legacy_archive (event_id, project_id, project_type, course_name, course_code, teacher_name, goal_description, study_frequency, has_school, school_course_name, school_course_code, school_teacher_name, has_self_study, self_study_goal_description, self_study_study_frequency) SELECT $1, p.id, p.project_type, p.course_name, p.course_code, p.teacher_name, p.goal_description, p.study_frequency, school.project_id IS NOT NULL, school.course_name, school.course_code, school.teacher_name, self_study.project_id IS NOT NULL, self_study.goal_description, self_study.study_frequency FROM projects_project p LEFT JOIN projects_schoolproject school ON school.project_id = p.id AND TRUE LEFT JOIN projects_selfstudyproject self_study ON self_study.project_id = p.id AND TRUE WHERE TRUE");
    }
}
