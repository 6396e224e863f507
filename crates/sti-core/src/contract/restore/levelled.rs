//! The trace that the triggers of a restore leave behind: when one of them last had something to level.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{Bool, Nullable};

use super::triggers::LEVELLED;
use crate::db::error::Doing as _;
use crate::db::sql_types::{DbTimestamp, Timestamp};
use crate::db::{AnyConnection, Backend, DbError, catalog, dialect};

/// When a trigger last had something to level; `None` if none ever had, or there are no triggers.
pub(super) fn last_levelled(connection: &mut AnyConnection) -> Result<Option<Timestamp>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<DbTimestamp>)]
        at: Option<Timestamp>,
    }
    if catalog::relation(connection, LEVELLED)?.is_none() {
        return Ok(None);
    }
    let at = match dialect::backend(connection) {
        Backend::Postgres => "CASE WHEN is_called THEN to_timestamp(last_value / 1000000.0) END",
        Backend::Sqlite => "at",
    };
    let row: Row = diesel::sql_query(format!("SELECT {at} AS at FROM {LEVELLED}"))
        .get_result(connection)
        .doing("reading when a trigger last had something to level")?;
    Ok(row.at)
}

/// When a trigger last had something to level, as far as this role may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levelled {
    /// Never, or there are no triggers.
    Never,
    /// At this time.
    At(Timestamp),
    /// The role may not read it: a right on all tables is none on the sequence.
    NotReadable,
}

/// [`last_levelled`], for a role that may lack the right to read it.
pub(super) fn levelled(connection: &mut AnyConnection) -> Result<Levelled, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        readable: bool,
    }
    if dialect::backend(connection) == Backend::Postgres {
        let sql = format!(
            "SELECT COALESCE(has_sequence_privilege(to_regclass('{LEVELLED}')::oid, 'SELECT'), true) AS readable"
        );
        let row: Row =
            diesel::sql_query(sql).get_result(connection).doing("asking what this role may read")?;
        if !row.readable {
            return Ok(Levelled::NotReadable);
        }
    }
    Ok(last_levelled(connection)?.map_or(Levelled::Never, Levelled::At))
}
