//! Backing out before the drop: the subtype tables are emptied, and the legacy columns are all that there is again.
//!
//! A row goes only if the legacy columns hold exactly what it holds, and nothing points at it; that is asked again for
//! each row under the lock under which it is deleted. So nothing is lost whoever writes meanwhile, and it may be done in
//! chunks: rows that are gone after a half of it are rows that a backfill makes again.

mod chunk;
mod plan;

use super::session::{self, Session, Steps as _, Unknown};
use crate::backfill::StopSignal;
use crate::chunks::{ChunkEvent, Retries, Then, Watch, passes};
use crate::db::dialect::{self, Limits, LockHolder};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, ConnectError, DbError, catalog, read_snapshot};
use crate::keyset::Keyset;
use crate::models::{Kind, PerKind, ProjectId};
use crate::probe::Probe;
use crate::verify::VerifyError;

use chunk::{Job, Undone};

pub use plan::{BackOutPlan, Blocker, Obstacle, SAMPLE, plan};

/// How it is done.
#[derive(Clone, Debug, Default)]
pub struct BackOutOptions {
    /// The digest of the plan that somebody has read ([`BackOutPlan::digest`]).
    pub confirm: String,
    /// Asks it to stop behind the chunk that is under way. The plan, which comes first, is made to its end.
    pub stop: StopSignal,
    /// For tests.
    pub probe: Probe,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackOut {
    /// It did not begin; nothing was changed. The reasons are [`BackOutPlan::blockers`], or, without any, the digest.
    Refused(Box<BackOutPlan>),
    /// It was carried out, wholly or up to a row that must not go.
    Done(BackedOut),
    /// Stopped behind a chunk because somebody asked for it; a new plan goes on.
    Stopped(BackedOut),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedOut {
    /// The plan that was confirmed.
    pub plan: Box<BackOutPlan>,
    /// The run of the backfill that was given up.
    pub gave_up_run: Option<i64>,
    /// Rows that were deleted.
    pub deleted: PerKind,
    /// Rows that are there afterwards: those that came since, and those that must not go.
    pub left: PerKind,
    /// Rows that came up on the way and must not go; their chunk was rolled back, and it ended there.
    pub stopped_by: Option<Blocker>,
}

/// Why it could not be planned, or did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BackOutError {
    /// The database failed on the way. The chunk that was at work was rolled back; those before it stay.
    #[error("{source}; deleted before: {} rows; the same command, with a new digest, goes on", deleted.total())]
    Stopped {
        /// Rows that were deleted.
        deleted: PerKind,
        /// Who held a lock right after.
        holders: Vec<LockHolder>,
        /// What the database said.
        source: DbError,
    },
    /// The COMMIT of a chunk got no clear answer, and the database could not say what became of it.
    #[error(
        "no clear answer to COMMIT ({}), and what became of it is not known ({}); deleted before: {} rows, and either \
         one chunk more or not: plan it again to see what is left", unknown.source, unknown.seen, deleted.total()
    )]
    Unknown {
        /// Rows that were deleted before.
        deleted: PerKind,
        /// What was said, and what was seen.
        unknown: Unknown,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A row changed although it was locked.
    #[error("a chunk was to delete {expected} rows and deleted {found}; it was rolled back; plan it again")]
    Interfered {
        /// Rows that the second look decided on.
        expected: i64,
        /// Rows that were deleted.
        found: i64,
    },
    /// The two sides could not be compared.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Whatever the database says.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<diesel::result::Error> for BackOutError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Db(error.into())
    }
}

/// Empties the subtype tables, if `options.confirm` is the digest of the plan of now.
///
/// Each chunk is a transaction that keeps other `sti-migrate`s out, locks its projects and their subtype rows in the
/// order of their ids, and looks again. A run of the backfill that is not at work is given up first.
///
/// `tell` hears of each chunk that was committed, with the rows that were deleted so far, and of each retry. Where the
/// answer to a COMMIT is lost, a fresh connection of `connector` asks what became of the chunk.
///
/// # Errors
/// [`BackOutError`]. Rows that were deleted before stay deleted: the legacy columns hold what they held.
pub fn execute(
    connector: &mut dyn FnMut() -> Result<AnyConnection, ConnectError>,
    options: &BackOutOptions,
    tell: &mut dyn FnMut(&ChunkEvent),
) -> Result<BackOut, BackOutError> {
    let session = &mut Session::open(connector)?;
    let plan = Box::new(plan(session.connection())?);
    if !plan.blockers.is_empty() || plan.digest != options.confirm {
        return Ok(BackOut::Refused(plan));
    }
    let lock =
        dialect::lock_limit(session.connection(), chunk::LOCK_LIMIT).doing("reading deadlock_timeout")?;
    let job = Job {
        limits: Limits { lock, statement: chunk::STATEMENT_LIMIT },
        pointers: plan.pointers.clone(),
        probe: &options.probe,
    };
    let nothing = PerKind::default();
    let mut done = BackedOut { plan, gave_up_run: None, deleted: nothing, left: nothing, stopped_by: None };
    let mut watch = Watch::new(&options.stop, tell);
    watch.begun(done.plan.rows.total());
    let stopped = done.all(session, &job, &mut watch)? == End::Stopped;
    done.left = rows(session.connection()).map_err(|source| done.failed(source))?;
    Ok(if stopped { BackOut::Stopped(done) } else { BackOut::Done(done) })
}

/// The rows of both tables at one moment: one that moves from table to table is counted once.
fn rows(connection: &mut AnyConnection) -> Result<PerKind, DbError> {
    read_snapshot(connection, |connection| {
        let mut rows = PerKind::default();
        for kind in Kind::ALL {
            rows.add(kind, catalog::count(connection, kind.table())?);
        }
        Ok(rows)
    })
}

/// How a walk, or a chunk of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It came to its end, or to a row that must not go.
    Reached,
    /// It was asked to stop.
    Stopped,
}

impl BackedOut {
    /// Whether both tables are empty.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.left.total() == 0 && self.stopped_by.is_none()
    }

    fn failed(&self, source: DbError) -> BackOutError {
        BackOutError::Stopped { deleted: self.deleted, holders: Vec::new(), source }
    }

    fn all(
        &mut self,
        session: &mut Session<'_>,
        job: &Job<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<End, BackOutError> {
        if watch.is_asked() || self.one(session, job, None, watch)? == End::Stopped {
            return Ok(End::Stopped);
        }
        if self.stopped_by.is_none() {
            self.gave_up_run = self.plan.gives_up_run;
        }
        for kind in Kind::ALL {
            if self.walk(session, job, kind, watch)? == End::Stopped {
                return Ok(End::Stopped);
            }
        }
        Ok(End::Reached)
    }

    fn walk(
        &mut self,
        session: &mut Session<'_>,
        job: &Job<'_>,
        kind: Kind,
        watch: &mut Watch<'_>,
    ) -> Result<End, BackOutError> {
        let mut walk = Some(Keyset::from_start());
        while let Some(here) = walk.filter(|_| self.stopped_by.is_none()) {
            let ids = chunk::next(session.connection(), kind, here).map_err(|source| self.failed(source))?;
            if !ids.is_empty()
                && (watch.is_asked() || self.one(session, job, Some((kind, &ids)), watch)? == End::Stopped)
            {
                return Ok(End::Stopped);
            }
            walk = here.behind(ids, chunk::CHUNK);
        }
        Ok(End::Reached)
    }

    /// One chunk; without one, the transaction that gives up the run.
    fn one(
        &mut self,
        session: &mut Session<'_>,
        job: &Job<'_>,
        chunk: Option<(Kind, &[ProjectId])>,
        watch: &mut Watch<'_>,
    ) -> Result<End, BackOutError> {
        let mut retries = Retries::default();
        loop {
            let (source, lost) = match chunk::run(session, job, chunk) {
                Ok(deleted) => {
                    if let Some((kind, _)) = chunk {
                        self.deleted.add(kind, deleted);
                        watch.committed(self.deleted.total());
                    }
                    return Ok(End::Reached);
                }
                Err(session::Undone::Work(Undone::Blocked(blocker))) => {
                    self.stopped_by = Some(blocker);
                    return Ok(End::Reached);
                }
                Err(session::Undone::Work(Undone::Interfered { expected, found })) => {
                    return Err(BackOutError::Interfered { expected, found });
                }
                Err(session::Undone::Unknown(unknown)) => {
                    return Err(BackOutError::Unknown { deleted: self.deleted, unknown });
                }
                Err(session::Undone::Work(Undone::Database(error)) | session::Undone::Database(error)) => {
                    (error, false)
                }
                Err(session::Undone::Lost(error)) => (error, true),
            };
            match retries.after(&source, lost, watch) {
                Then::Again => {}
                Then::Stop => return Ok(End::Stopped),
                Then::Fail => {
                    let holders =
                        if passes(&source) { chunk::holders(session.connection())? } else { Vec::new() };
                    return Err(BackOutError::Stopped { deleted: self.deleted, holders, source });
                }
            }
        }
    }
}
