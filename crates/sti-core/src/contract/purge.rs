//! Purging the archive of a drop: the only way in which archived values go.
//!
//! Only the archive of a drop that is restored and finished may go, and only while the legacy columns are there: after a
//! drop its archive is the only copy of what no subtype row holds. Even then it may hold values that no table of the
//! application has any more (of projects that were deleted, and those that were changed since): the plan counts what the
//! legacy columns do not hold, and names the drops whose archives may still have it.

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;
use sha2::{Digest as _, Sha256};

use super::Retry;
use super::archive::{self, Deleted};
use super::digest::{VERSION, short};
use super::event::DropEvent;
use super::locks::{AsDbError, Attempts, Tables, Undone, Waiting, under_locks};
use super::restore::state::recorded;
use super::restore::triggers::{self, Installed};
use super::session::{Became, Session, Steps as _, Unknown};
use crate::backfill::StopSignal;
use crate::chunks::{ChunkEvent, Watch};
use crate::db::dialect::{self, LockHolder};
use crate::db::error::{Doing as _, Fault};
use crate::db::{AnyConnection, ConnectError, DbError, catalog, identity, read_snapshot};
use crate::mapping::{LEGACY_COLUMNS, PARENT};
use crate::models::ProjectId;

/// Rows that go in one transaction.
const CHUNK: u32 = 10_000;

/// How a purge is made.
#[derive(Clone, Debug, Default)]
pub struct PurgeOptions {
    /// The drop whose archive goes.
    pub event: i64,
    /// The digest of the plan that somebody has read ([`PurgePlan::digest`]).
    pub confirm: String,
    /// Asks it to stop behind the chunk that is under way. The plan, which comes first, is made to its end.
    pub stop: StopSignal,
}

/// What a purge would take away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgePlan {
    /// The drop.
    pub event: DropEvent,
    /// Rows of the archive.
    pub rows: i64,
    /// Those of them whose project has been deleted.
    pub projects_gone: i64,
    /// Those whose project is there, with a value, neither NULL nor `''`, that its legacy column does not hold. Not
    /// counted while the columns are gone.
    pub changed_since: i64,
    /// The other drops whose archives hold rows: what the legacy columns do not hold any more was not looked for there.
    pub other_archives: Vec<i64>,
    /// Why it may not be purged; `None` if it may.
    pub refusal: Option<PurgeRefusal>,
    /// What confirms this plan: 12 hex digits, the same as long as database, version and figures are.
    pub digest: String,
}

/// Why an archive may not be purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeRefusal {
    /// The drop is not restored: this archive is the only copy.
    NotRestored,
    /// The restore of the drop with this id, which may be another one, is not finished; none where triggers of a restore
    /// are there beside drops that are all finished.
    NotFinished(Option<i64>),
    /// Another drop, the one with this id, is not restored: until it is, no archive goes.
    OtherOpen(i64),
    /// Legacy columns are missing.
    ColumnsMissing,
}

/// What came of a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// It did not begin; nothing was changed. The reason is [`PurgePlan::refusal`], or, without one, the digest.
    Refused(Box<PurgePlan>),
    /// All rows are gone.
    Done {
        /// The plan that was confirmed.
        plan: Box<PurgePlan>,
        /// Rows that were deleted.
        deleted: i64,
    },
    /// Stopped behind a chunk because somebody asked for it; a new plan goes on.
    Stopped {
        /// The plan that was confirmed.
        plan: Box<PurgePlan>,
        /// Rows that were deleted.
        deleted: i64,
    },
}

/// Why a purge could not be planned, or did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// There is no such drop.
    #[error("no drop {event} is on record: `sti-migrate archive list` shows those that are")]
    NoSuchEvent {
        /// The id that was given.
        event: i64,
    },
    /// Something has changed since the purge began; the rows that were deleted before stay deleted.
    #[error(
        "stopped after {deleted} rows: a drop or a restore began meanwhile; `sti-migrate status` shows it"
    )]
    Overtaken {
        /// Rows that were deleted.
        deleted: i64,
    },
    /// The lock against other `sti-migrate`s was not to be had.
    #[error(
        "stopped after {deleted} rows: another sti-migrate is at work ({source}); plan it again when that has ended"
    )]
    Locked {
        /// Rows that were deleted.
        deleted: i64,
        /// Who held it.
        holders: Vec<LockHolder>,
        /// What the database said.
        source: DbError,
    },
    /// A COMMIT got no clear answer, and the database could not say what became of it.
    #[error(
        "no clear answer to COMMIT ({}), and what became of it is not known ({}): rows are gone, or some are left; plan \
         it again to see how many", .0.source, .0.seen
    )]
    Unknown(Unknown),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database failed on the way; the rows that were deleted before stay deleted.
    #[error("{source}; stopped after {deleted} rows: plan it again, to see what is left")]
    Interrupted {
        /// Rows that were deleted.
        deleted: i64,
        /// What the database said.
        source: DbError,
    },
    /// Whatever the database says.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<diesel::result::Error> for PurgeError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

impl AsDbError for PurgeError {
    fn as_db_error(&self) -> Option<&DbError> {
        if let Self::Db(error) = self { Some(error) } else { None }
    }

    fn into_db_error(self) -> Result<DbError, Self> {
        if let Self::Db(error) = self { Ok(error) } else { Err(self) }
    }
}

/// An event, and how many rows its archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The drop.
    pub event: DropEvent,
    /// Rows of its archive that are there.
    pub rows: i64,
}

/// Every drop on record with its archive, in one snapshot.
///
/// # Errors
/// Whatever the database says.
pub fn archives(connection: &mut AnyConnection) -> Result<Vec<Archive>, DbError> {
    read_snapshot(connection, |connection| {
        let mut archives = Vec::new();
        for event in recorded(connection)? {
            let rows = archive::archived(connection, event.id)?;
            archives.push(Archive { event, rows });
        }
        Ok(archives)
    })
}

/// What a purge of the archive of drop `event` would take away. Reads one snapshot and changes nothing.
///
/// # Errors
/// [`PurgeError::NoSuchEvent`], or whatever the database says.
pub fn plan(connection: &mut AnyConnection, event: i64) -> Result<PurgePlan, PurgeError> {
    read_snapshot(connection, |connection| {
        let all = recorded(connection)?;
        let Some(found) = all.iter().find(|found| found.id == event) else {
            return Err(PurgeError::NoSuchEvent { event });
        };
        let complete = columns_are_there(connection)?;
        let figures = figures(connection, event, complete)?;
        let refusal = refusal(connection, &all, found, complete)?;
        let mut other_archives = Vec::new();
        for other in all.iter().filter(|other| other.id != event) {
            if archive::has_rows_up_to(connection, other.id, ProjectId::MAX)? {
                other_archives.push(other.id);
            }
        }
        let identity = identity::identity(connection)?;
        let said = format!(
            "sti archive purge\n{identity}\n{VERSION}\n{event} {:?}\n{} {} {}\n{other_archives:?}\n",
            found.dropped_at, figures.archived, figures.gone, figures.changed
        );
        Ok(PurgePlan {
            event: found.clone(),
            rows: figures.archived,
            projects_gone: figures.gone,
            changed_since: figures.changed,
            other_archives,
            refusal,
            digest: short(&Sha256::digest(said)),
        })
    })
}

/// Deletes the archive of a drop, if `options.confirm` is the digest of the plan of now; chunk by chunk, each in a
/// transaction that keeps other `sti-migrate`s out and asks again whether it may.
///
/// `tell` hears of each chunk that was committed, with the rows that were deleted so far, and of each retry. Where the answer to a COMMIT is lost, a fresh connection of `connector` asks what became of the chunk.
///
/// # Errors
/// [`PurgeError`]. Rows that were deleted before stay deleted; a new plan shows what is left.
pub fn execute(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &PurgeOptions,
    tell: &mut dyn FnMut(&ChunkEvent),
) -> Result<Purge, PurgeError> {
    let event = options.event;
    let mut session = Session::open(connector)?;
    let plan = Box::new(plan(session.connection(), event)?);
    if plan.refusal.is_some() || plan.digest != options.confirm {
        return Ok(Purge::Refused(plan));
    }
    let mut watch = Watch::new(&options.stop, tell);
    watch.begun(plan.rows);
    let mut deleted = 0;
    let mut after = None;
    let mut swept = false;
    loop {
        if watch.is_asked() && archive::has_rows_up_to(session.connection(), event, ProjectId::MAX)? {
            return Ok(Purge::Stopped { plan, deleted });
        }
        let work = |connection: &mut AnyConnection| delete(connection, event, after);
        let became = |connection: &mut AnyConnection, chunk: &Option<Chunk>| match chunk {
            Some(Chunk::Deleted(Deleted { through, .. })) => {
                Ok(Became::done_if(!archive::has_rows_up_to(connection, event, *through)?))
            }
            _ => Ok(Became::Done),
        };
        let waiting = Waiting::until(Attempts::default(), Some(watch.stop()));
        let mut retried = |retry: &Retry| watch.retried(retry);
        let chunk = under_locks(&mut session, Tables::None, waiting, &mut retried, work, became);
        match chunk {
            Ok((Some(Chunk::Deleted(Deleted { rows, through })), _)) => {
                deleted += rows;
                after = Some(through);
                watch.committed(deleted);
            }
            // Once more from the beginning: it is done when there is nothing at all.
            Ok((Some(Chunk::NoMore), _)) if after.is_some() => {
                if deleted > i64::from(CHUNK) {
                    archive::vacuum(session.connection());
                }
                after = None;
            }
            Ok((Some(Chunk::NoMore), _)) => return Ok(Purge::Done { plan, deleted }),
            Ok((None, _)) => return Err(PurgeError::Overtaken { deleted }),
            Err(Undone::Locked { .. }) if watch.is_asked() => return Ok(Purge::Stopped { plan, deleted }),
            Err(Undone::Locked { holders, source, .. }) => {
                return Err(PurgeError::Locked { deleted, holders, source });
            }
            Err(Undone::Unknown(unknown)) => return Err(PurgeError::Unknown(unknown)),
            // An earlier purge that was stopped has left so many dead entries at the beginning.
            Err(Undone::Failed(PurgeError::Db(source)))
                if source.fault() == Fault::StatementTimeout && !swept =>
            {
                archive::vacuum(session.connection());
                swept = true;
            }
            Err(Undone::Failed(PurgeError::Db(source))) => {
                return Err(PurgeError::Interrupted { deleted, source });
            }
            Err(Undone::Failed(error)) => return Err(error),
        }
    }
}

/// What one transaction did.
enum Chunk {
    Deleted(Deleted),
    /// There was nothing behind the last one.
    NoMore,
}

/// Deletes one chunk behind `after`; `None` if that is not allowed any more.
fn delete(
    connection: &mut AnyConnection,
    event: i64,
    after: Option<ProjectId>,
) -> Result<Option<Chunk>, PurgeError> {
    let all = recorded(connection)?;
    let Some(found) = all.iter().find(|found| found.id == event) else {
        return Err(PurgeError::NoSuchEvent { event });
    };
    let complete = columns_are_there(connection)?;
    if refusal(connection, &all, found, complete)?.is_some() {
        return Ok(None);
    }
    Ok(Some(match archive::delete_behind(connection, event, after, CHUNK)? {
        Some(deleted) => Chunk::Deleted(deleted),
        None => Chunk::NoMore,
    }))
}

fn columns_are_there(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let columns = catalog::columns(connection, PARENT)?;
    Ok(LEGACY_COLUMNS.iter().all(|name| columns.iter().any(|column| column.name == *name)))
}

fn refusal(
    connection: &mut AnyConnection,
    all: &[DropEvent],
    event: &DropEvent,
    columns_are_there: bool,
) -> Result<Option<PurgeRefusal>, DbError> {
    if event.is_open() {
        return Ok(Some(PurgeRefusal::NotRestored));
    }
    if let Some(open) = all.iter().find(|event| event.is_open()) {
        return Ok(Some(PurgeRefusal::OtherOpen(open.id)));
    }
    if !columns_are_there {
        return Ok(Some(PurgeRefusal::ColumnsMissing));
    }
    let mut unfinished = std::iter::once(event).chain(all).filter(|event| event.finished_at.is_none());
    if let Some(unfinished) = unfinished.next() {
        return Ok(Some(PurgeRefusal::NotFinished(Some(unfinished.id))));
    }
    let triggers = triggers::installed(connection)? != Installed::No;
    Ok(triggers.then_some(PurgeRefusal::NotFinished(None)))
}

#[derive(Clone, Copy, Debug, diesel::QueryableByName)]
struct Figures {
    #[diesel(sql_type = BigInt)]
    archived: i64,
    #[diesel(sql_type = BigInt)]
    gone: i64,
    #[diesel(sql_type = BigInt)]
    changed: i64,
}

fn figures(connection: &mut AnyConnection, event: i64, with_columns: bool) -> Result<Figures, DbError> {
    let exact = dialect::backend(connection).exact();
    let differs = LEGACY_COLUMNS
        .map(|c| format!("(a.{c} {exact} <> '' AND a.{c} {exact} IS DISTINCT FROM p.{c} {exact})"))
        .join(" OR ");
    let changed = if with_columns { format!("p.id IS NOT NULL AND ({differs})") } else { "1 = 0".to_owned() };
    let sum = |condition: &str| {
        format!("CAST(COALESCE(sum(CASE WHEN {condition} THEN 1 ELSE 0 END), 0) AS bigint)")
    };
    diesel::sql_query(format!(
        "SELECT count(*) AS archived, {} AS gone, {} AS changed FROM sti_legacy_archive a \
         LEFT JOIN {PARENT} p ON p.id = a.project_id WHERE a.event_id = $1",
        sum("p.id IS NULL"),
        sum(&changed)
    ))
    .bind::<BigInt, _>(event)
    .get_result(connection)
    .doing("comparing the archive with the legacy columns")
}
