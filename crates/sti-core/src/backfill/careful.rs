//! A chunk that holds rows which the database refuses: finds them by halving, and makes the others.
//!
//! Everything is in the chunk's transaction. The projects are locked as a whole first, so they stay locked when a part
//! is rolled back to its savepoint.

use diesel::RunQueryDsl as _;
use diesel::sql_types::Text;

use super::error::BackfillError;
use super::quarantine::Refused;
use crate::db::error::{DbError, Doing as _, Fault};
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, Failed, dialect, write_transaction_phased};
use crate::keyset::KeyRange;
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId};
use crate::probe::Probe;
use crate::subtype_rows::fill::{self, Outcome};

/// The most projects that are looked at in this way in one transaction. Their locks are held for up to two statements
/// and a savepoint for each.
pub(super) const MOST: i64 = 200;

/// What became of the projects of a chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct Filled {
    pub outcome: Outcome,
    pub refused: Vec<Refused>,
}

/// A project that is locked.
#[derive(diesel::QueryableByName)]
struct Held {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
    #[diesel(sql_type = Text)]
    project_type: String,
}

/// [`fill::fill`], but for the rows that the database refuses. On PostgreSQL the deferred constraints are checked here
/// too; on SQLite they are only checked at COMMIT.
pub(super) fn fill(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    probe: &Probe,
) -> Result<Filled, BackfillError> {
    let projects = hold(connection, range, condition)?;
    let mut filled = Filled::default();
    let mut left: Vec<_> = std::iter::once(0..projects.len()).collect();
    while let Some(part) = left.pop() {
        let Some(last) = part.end.checked_sub(1).filter(|last| *last >= part.start) else { continue };
        let keys = KeyRange {
            after: part.start.checked_sub(1).map_or(range.after, |before| Some(projects[before].id)),
            through: projects[last].id,
        };
        // A project that came between two of these is taken along with a part; alone, each is itself.
        let keys = if part.len() == 1 { KeyRange::of_one(projects[last].id) } else { keys };
        match attempt(connection, &keys, condition, probe) {
            Ok(outcome) => filled.outcome += outcome,
            Err(BackfillError::Fill(error)) if error.fault() == Fault::Row => {
                if part.len() == 1 {
                    filled.refused.push(refused(&projects[last], &error.source)?);
                } else {
                    let middle = part.start + part.len() / 2;
                    left.push(middle..part.end);
                    left.push(part.start..middle);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Makes no row at all: every project of the range is refused for `reason`, which came when it was committed.
pub(super) fn refuse_all(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    reason: &diesel::result::Error,
) -> Result<Filled, BackfillError> {
    let projects = hold(connection, range, condition)?;
    let refused = projects.iter().map(|project| refused(project, reason)).collect::<Result<_, _>>()?;
    Ok(Filled { outcome: Outcome::default(), refused })
}

fn hold(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
) -> Result<Vec<Held>, BackfillError> {
    let lock = dialect::backend(connection).lock_rows();
    let keys = range.contains_sql();
    let sql = format!(
        "SELECT p.id, p.project_type FROM {PARENT} p WHERE {keys} AND {condition} ORDER BY p.id {lock}"
    );
    Ok(diesel::sql_query(sql).load(connection).doing("locking the projects of the range")?)
}

/// One part, in a savepoint.
fn attempt(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    probe: &Probe,
) -> Result<Outcome, BackfillError> {
    let outcome = write_transaction_phased(connection, |connection| {
        let outcome = fill::fill(connection, range, condition, probe).map_err(BackfillError::Fill)?;
        dialect::check_deferred(connection)
            .doing("checking the deferred constraints")
            .map_err(BackfillError::Fill)?;
        Ok(outcome)
    });
    outcome.map_err(|failed| match failed {
        Failed::Body(error) => error,
        Failed::Begin(source) | Failed::Commit(source) => DbError::from(source).into(),
    })
}

fn refused(project: &Held, reason: &diesel::result::Error) -> Result<Refused, BackfillError> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == project.project_type);
    let Some(kind) = kind else {
        // It has no subtype table, so there was nothing to refuse.
        return Err(DbError {
            doing: format!("looking at project {} alone", project.id),
            source: diesel::result::Error::RollbackTransaction,
        }
        .into());
    };
    Ok(Refused {
        project: project.id,
        kind,
        class: Fault::row_class(reason).to_owned(),
        message: reason.to_string(),
    })
}
