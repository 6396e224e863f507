//! The repair itself: chunk after chunk, upward by id.

use std::time::Duration;

use diesel::RunQueryDsl as _;

use crate::backfill::StopSignal;
use crate::chunks::{ChunkEvent, Retries, Then, Watch};
use crate::db::dialect::{self, Limits};
use crate::db::error::{Doing as _, Fault};
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, Failed, catalog};
use crate::keyset::Keyset;
use crate::mapping::{any_differs_sql, is_kind_sql};
use crate::models::{Kind, ProjectId};
use crate::probe::Probe;

use super::super::error::VerifyError;
use super::super::scan::orphans_sql;
use super::super::traits::{alias, joined_behind_sql};
use super::super::watch::Reading;
use super::change::{ChangeCounts, Direction};
use super::chunk::{self, Job, Undone, Work};
use super::error::RepairError;
use super::plan::{RepairPlan, plan};
use super::pointers::{self, Pointer};
use super::write::Entry;

/// Projects of one chunk.
pub const CHUNK: u32 = 1_000;

/// The longest wait for one lock, on a server with the default `deadlock_timeout`.
const LOCK_LIMIT: Duration = Duration::from_millis(300);

/// The longest run of one statement of a chunk.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);

/// How a repair is made.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// The side that is taken for right.
    pub direction: Direction,
    /// The digest of the plan that somebody has read ([`RepairPlan::digest`]).
    pub confirm: String,
    /// How many projects of each class the plan shows, as in [`super::super::VerifyOptions::sample`].
    pub sample: u32,
    /// The longest wait for one lock; never more than 45 % of the server's `deadlock_timeout`.
    pub lock_limit: Duration,
    /// Asks it to stop behind the chunk that is under way. The plan, which comes first, is made to its end.
    pub stop: StopSignal,
    /// For tests.
    pub probe: Probe,
}

impl RepairOptions {
    /// A repair of the plan with this digest, with the usual limits.
    pub fn new(direction: Direction, confirm: impl Into<String>) -> Self {
        Self {
            direction,
            confirm: confirm.into(),
            sample: 0,
            lock_limit: LOCK_LIMIT,
            stop: StopSignal::default(),
            probe: Probe::default(),
        }
    }
}

/// What came of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It did not begin; nothing was written.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The plan of now.
        plan: Box<RepairPlan>,
    },
    /// It was carried out, wholly or up to a refusal.
    Done(Repair),
    /// Stopped behind a chunk because somebody asked for it; a new plan goes on.
    Stopped(Repair),
}

/// Why a repair did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The digest that was given is not that of the plan of now.
    AnotherPlan {
        /// The digest that was given.
        given: String,
    },
    /// Other projects point at rows that would go: [`RepairPlan::pointers`].
    Pointers,
}

/// What a repair did. It is no verification: only a fresh pass tells whether both sides agree now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The plan that was confirmed.
    pub plan: Box<RepairPlan>,
    /// The changes that were committed; each has its row in `sti_repair_log`.
    pub changed: ChangeCounts,
    /// Chunks that were committed.
    pub chunks: i64,
    /// Projects and rows that needed nothing any more when they were looked at under the lock.
    pub settled: i64,
    /// Pointers of other projects that came up on the way: the chunk that met them was rolled back, and the
    /// repair ended there.
    pub stopped_by: Vec<Pointer>,
}

/// Repairs what the plan with the digest `options.confirm` says, in chunks of [`CHUNK`] projects.
///
/// Each chunk is a transaction that locks its projects (FOR NO KEY UPDATE, in the order of their ids) and their
/// subtype rows until it commits, looks at both sides again, and writes the before-image of everything that it
/// changes to `sti_repair_log`. It is retried 5 times with growing rests where a lock was not to be had. `tell` hears of
/// each chunk that was committed, with the changes so far, and of each retry.
///
/// # Errors
/// [`RepairError`]. Chunks that were committed before stay.
pub fn execute(
    connection: &mut AnyConnection,
    options: &RepairOptions,
    tell: &mut dyn FnMut(&ChunkEvent),
) -> Result<Execution, RepairError> {
    let plan = Box::new(plan(connection, options.direction, options.sample)?);
    if plan.digest != options.confirm {
        let refusal = Refusal::AnotherPlan { given: options.confirm.clone() };
        return Ok(Execution::Refused { refusal, plan });
    }
    if !plan.pointers.is_empty() {
        return Ok(Execution::Refused { refusal: Refusal::Pointers, plan });
    }
    let begin = |error: DbError| RepairError::Verify(VerifyError::Database(error));
    if catalog::columns(connection, "sti_repair_log").map_err(begin)?.is_empty() {
        return Err(RepairError::NoLog);
    }
    let lock = dialect::lock_limit(connection, options.lock_limit);
    let job = Job {
        entry: Entry { direction: options.direction, digest: &options.confirm },
        limits: Limits {
            lock: lock.doing("reading deadlock_timeout").map_err(begin)?,
            statement: STATEMENT_LIMIT,
        },
        with_pointer: pointers::kinds_with_pointer(connection).map_err(begin)?,
        probe: &options.probe,
    };
    let mut repair =
        Repair { plan, changed: ChangeCounts::default(), chunks: 0, settled: 0, stopped_by: Vec::new() };
    let mut walks = vec![Work::Projects];
    if options.direction == Direction::Legacy {
        walks.extend(Kind::ALL.map(Work::Orphans));
    }
    let mut watch = Watch::new(&options.stop, tell);
    watch.begun(repair.plan.changes.total());
    for work in walks {
        if repair.walk(connection, work, &job, &mut watch)? == End::Stopped {
            return Ok(Execution::Stopped(repair));
        }
    }
    Ok(Execution::Done(repair))
}

/// How a walk, or a chunk of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It came to its end, or to pointers that forbid it.
    Reached,
    /// It was asked to stop.
    Stopped,
}

impl Repair {
    /// Walks over the ids that may need something; each chunk looks again.
    fn walk(
        &mut self,
        connection: &mut AnyConnection,
        work: Work,
        job: &Job<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<End, RepairError> {
        let mut walk = Some(Keyset::from_start());
        while let Some(here) = walk.filter(|_| self.stopped_by.is_empty()) {
            let ids = candidates(connection, work, here, job).map_err(|source| self.stopped(source))?;
            if !ids.is_empty()
                && (watch.is_asked() || self.chunk(connection, work, &ids, job, watch)? == End::Stopped)
            {
                return Ok(End::Stopped);
            }
            walk = here.behind(ids, CHUNK);
        }
        Ok(End::Reached)
    }

    fn chunk(
        &mut self,
        connection: &mut AnyConnection,
        work: Work,
        ids: &[ProjectId],
        job: &Job<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<End, RepairError> {
        let mut retries = Retries::default();
        loop {
            let error = match chunk::run(connection, work, ids, job) {
                Ok((changed, settled)) => {
                    self.changed.add_all(&changed);
                    self.settled += settled;
                    self.chunks += 1;
                    watch.committed(self.changed.total());
                    return Ok(End::Reached);
                }
                Err(Failed::Body(Undone::Pointers(found))) => {
                    self.stopped_by = found;
                    return Ok(End::Reached);
                }
                Err(Failed::Body(Undone::Refilling)) => return Err(VerifyError::Refilling.into()),
                Err(Failed::Body(Undone::Interfered { change, expected, found })) => {
                    return Err(RepairError::Interfered { change, expected, found });
                }
                Err(Failed::Body(Undone::Database(error))) => error,
                Err(Failed::Commit(error)) if Fault::of(&error) == Fault::ConnectionLost => {
                    let (done, chunks) = (Box::new(self.changed), self.chunks);
                    return Err(RepairError::Unknown { done, chunks, source: error.into() });
                }
                Err(Failed::Begin(error) | Failed::Commit(error)) => error.into(),
            };
            match retries.after(&error, false, watch) {
                Then::Again => {}
                Then::Stop => return Ok(End::Stopped),
                Then::Fail => return Err(self.stopped(error)),
            }
        }
    }

    fn stopped(&self, source: DbError) -> RepairError {
        RepairError::Stopped { done: Box::new(self.changed), chunks: self.chunks, source }
    }
}

#[derive(diesel::QueryableByName)]
struct Candidate {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
}

/// The next ids that may need something, seen without a lock.
fn candidates(
    connection: &mut AnyConnection,
    work: Work,
    here: Keyset,
    job: &Job<'_>,
) -> Result<Vec<ProjectId>, DbError> {
    let exact = dialect::backend(connection).exact();
    let (select, key) = match work {
        Work::Projects => {
            let of_kind = Kind::ALL.map(|kind| {
                let (right, wrong) = (alias(kind), alias(kind.other()));
                let wrong = match job.entry.direction {
                    Direction::Legacy => format!("{wrong}.project_id IS NOT NULL"),
                    Direction::Subtype => {
                        format!("({wrong}.project_id IS NOT NULL AND {right}.project_id IS NOT NULL)")
                    }
                };
                let differs = any_differs_sql(kind, "p", right, exact);
                format!("({} AND ({wrong} OR {differs}))", is_kind_sql(kind, "p", exact))
            });
            let from = joined_behind_sql(here);
            (format!("SELECT p.id AS id FROM {from} WHERE ({})", of_kind.join(" OR ")), "p.id")
        }
        Work::Orphans(kind) => (
            format!("SELECT r.project_id AS id FROM {}", orphans_sql(kind, &Reading::unwatched())),
            "r.project_id",
        ),
    };
    let found: Vec<Candidate> = diesel::sql_query(format!("{select}{}", here.page_sql(key, CHUNK)))
        .load(connection)
        .doing("looking for what needs a repair")?;
    Ok(found.into_iter().map(|candidate| candidate.id).collect())
}
