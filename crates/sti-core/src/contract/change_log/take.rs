//! Taking entries out of the change log, and what they say.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::TABLE;
use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError};
use crate::models::ProjectId;

/// A project whose legacy columns somebody has changed without writing the subtype row in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq, diesel::QueryableByName)]
pub(in crate::contract) struct Suspect {
    #[diesel(sql_type = DbUuid)]
    pub(in crate::contract) id: ProjectId,
}

/// What was taken, apart from the ids themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::contract) struct Taken {
    /// Entries.
    pub(in crate::contract) entries: i64,
    /// The tables that were emptied by TRUNCATE.
    pub(in crate::contract) truncated: Vec<String>,
    pub(in crate::contract) suspects: Vec<Suspect>,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(diesel::QueryableByName)]
struct Written {
    #[diesel(sql_type = Text)]
    written: String,
}

#[derive(diesel::QueryableByName)]
struct Id {
    #[diesel(sql_type = Nullable<DbUuid>)]
    id: Option<ProjectId>,
}

/// How many entries there are; counts no further than to `most`.
pub(in crate::contract) fn entries(connection: &mut AnyConnection, most: i64) -> Result<i64, DbError> {
    let row: Count = diesel::sql_query(format!(
        "SELECT count(*) AS count FROM (SELECT 1 FROM {TABLE} LIMIT {most}) AS log"
    ))
    .get_result(connection)
    .doing("counting the change log")?;
    Ok(row.count)
}

/// Marks every entry that is committed by now. All entries of a transaction are taken at once.
pub(in crate::contract) fn take(connection: &mut AnyConnection) -> Result<Taken, DbError> {
    let entries = diesel::sql_query(format!("UPDATE {TABLE} SET taken = true WHERE NOT taken"))
        .execute(connection)
        .doing("taking the change log")?;
    if entries == 0 {
        return Ok(Taken::default());
    }
    let truncated: Vec<Written> = diesel::sql_query(format!(
        "SELECT DISTINCT written FROM {TABLE} WHERE taken AND project_id IS NULL ORDER BY written"
    ))
    .load(connection)
    .doing("looking for TRUNCATE in the change log")?;
    let suspects = diesel::sql_query(format!(
        "SELECT DISTINCT l.project_id AS id FROM {TABLE} l WHERE l.taken AND l.row_due IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM {TABLE} r WHERE r.taken AND r.transaction = l.transaction \
                         AND r.project_id = l.project_id AND r.written = l.row_due) ORDER BY 1"
    ))
    .load(connection)
    .doing("looking for writers of the legacy columns only")?;
    Ok(Taken {
        entries: i64::try_from(entries).unwrap_or(i64::MAX),
        truncated: truncated.into_iter().map(|row| row.written).collect(),
        suspects,
    })
}

/// Which entries are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contract) enum Entries {
    /// Those that [`take`] has marked.
    Taken,
    /// All that are visible: of a log that is nobody's, or in tests that show why it is not enough for a drop.
    Visible,
}

impl Entries {
    const fn condition(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Visible => "true",
        }
    }
}

/// The next ids behind `after`, at most `limit`, each once.
pub(in crate::contract) fn ids(
    connection: &mut AnyConnection,
    of: Entries,
    after: Option<ProjectId>,
    limit: usize,
) -> Result<Vec<ProjectId>, DbError> {
    let behind = after.map_or_else(String::new, |id| format!(" AND project_id > '{}'", id.hex()));
    let rows: Vec<Id> = diesel::sql_query(format!(
        "SELECT DISTINCT project_id AS id FROM {TABLE} WHERE {} AND project_id IS NOT NULL{behind} \
         ORDER BY 1 LIMIT {limit}",
        of.condition()
    ))
    .load(connection)
    .doing("reading the change log")?;
    Ok(rows.into_iter().filter_map(|row| row.id).collect())
}

/// Deletes what was taken.
pub(in crate::contract) fn delete(connection: &mut AnyConnection, of: Entries) -> Result<(), DbError> {
    diesel::sql_query(format!("DELETE FROM {TABLE} WHERE {}", of.condition()))
        .execute(connection)
        .doing("deleting what was taken from the change log")
        .map(|_| ())
}
