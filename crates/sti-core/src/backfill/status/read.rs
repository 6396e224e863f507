//! Reads it. A run of a hundred million projects has some hundred thousand chunks; they are added up once, and a reader
//! that goes on looking adds what has come since.

use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};

use super::{Condition, HEARD_OF, LeaseStatus, Recent, RunStatus, Status, WaitStatus, age};
use crate::backfill::control;
use crate::backfill::error::BackfillError;
use crate::backfill::last_run;
use crate::backfill::ledger::{self, RunId};
use crate::backfill::totals::Totals;
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::{DbTimestamp, Timestamp};
use crate::db::{AnyConnection, catalog, dialect, read_snapshot};

/// The newest chunks that tell the pace.
const RECENT_CHUNKS: i64 = 200;
/// The time that they tell it of.
const RECENT: Duration = Duration::from_secs(60);

const TABLES: [&str; 4] =
    ["sti_backfill_run", "sti_backfill_chunk", "sti_backfill_control", "sti_backfill_wait"];

/// Reads the state of a backfill again and again.
#[derive(Debug, Default)]
pub struct StatusReader {
    run: Option<RunId>,
    /// Every chunk of the run up to this id is done, and in `totals`.
    through: i64,
    totals: Totals,
}

impl StatusReader {
    /// Reads the state in one read-only snapshot. Takes no locks.
    ///
    /// # Errors
    /// [`BackfillError::SchemaNotReady`] without our tables, or what the database says.
    pub fn read(&mut self, connection: &mut AnyConnection) -> Result<Status, BackfillError> {
        read_snapshot(connection, |connection| {
            ledger::check_tables(connection, &TABLES)?;
            let now = now(connection)?;
            let pause = control::paused(connection)?;
            let Some(mut run) = last_run::newest(connection)? else {
                return Ok(Status { now, pause, run: None });
            };
            run.totals = self.totals(connection, run.run)?;
            let (recent, last_checkpoint) = recent(connection, run.run)?;
            let mut status = RunStatus {
                leases: leases(connection, run.run, now)?,
                waits: waits(connection, run.run, now)?,
                quarantined: quarantined(connection, run.run)?,
                run,
                condition: Condition::Stopped,
                last_checkpoint,
                recent,
            };
            status.condition = status.judge(now);
            Ok(Status { now, pause, run: Some(status) })
        })
    }

    fn totals(&mut self, connection: &mut AnyConnection, run: RunId) -> Result<Totals, DbError> {
        #[derive(diesel::QueryableByName)]
        struct Bounds {
            #[diesel(sql_type = Nullable<BigInt>)]
            first_open: Option<i64>,
            #[diesel(sql_type = Nullable<BigInt>)]
            last: Option<i64>,
        }
        if self.run != Some(run) {
            *self = Self { run: Some(run), ..Self::default() };
        }
        // The unary plus keeps SQLite from an index that would walk through the whole run.
        let of_run = if self.through == 0 { "run_id = $1" } else { "+run_id = $1" };
        let bounds: Bounds = diesel::sql_query(format!(
            "SELECT min(id) FILTER (WHERE state <> 'done') AS first_open, max(id) AS last \
             FROM sti_backfill_chunk WHERE {of_run} AND id > $2"
        ))
        .bind::<BigInt, _>(run.0)
        .bind::<BigInt, _>(self.through)
        .get_result(connection)
        .doing(format!("reading the chunks of run {run}"))?;
        let through = bounds.first_open.map(|first| first - 1).or(bounds.last).unwrap_or(self.through);
        self.totals += ledger::totals_between(connection, run, of_run, (self.through, through))?;
        self.through = through;
        let mut totals = self.totals;
        // Few: what was committed behind a chunk that is still open.
        totals += ledger::totals_between(connection, run, of_run, (through, i64::MAX))?;
        Ok(totals)
    }
}

fn now(connection: &mut AnyConnection) -> Result<Timestamp, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbTimestamp)]
        now: Timestamp,
    }
    let row: Row = diesel::sql_query(format!("SELECT {} AS now", dialect::backend(connection).now()))
        .get_result(connection)
        .doing("reading the clock")?;
    Ok(row.now)
}

/// The pace of the newest chunks, and when the last one was committed.
fn recent(
    connection: &mut AnyConnection,
    run: RunId,
) -> Result<(Option<Recent>, Option<Timestamp>), DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        locked: i64,
        #[diesel(sql_type = BigInt)]
        ms: i64,
        #[diesel(sql_type = DbTimestamp)]
        finished_at: Timestamp,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT locked, COALESCE(duration_ms, 0) AS ms, finished_at FROM sti_backfill_chunk \
         WHERE +run_id = $1 AND state = 'done' AND finished_at IS NOT NULL ORDER BY id DESC LIMIT $2",
    )
    .bind::<BigInt, _>(run.0)
    .bind::<BigInt, _>(RECENT_CHUNKS)
    .load(connection)
    .doing(format!("reading the newest chunks of run {run}"))?;
    let Some(last) = rows.iter().map(|row| row.finished_at).max() else { return Ok((None, None)) };
    let (mut chunks, mut projects, mut ms, mut longest, mut span) = (0_i64, 0, 0, 0, Duration::ZERO);
    for row in rows.iter().filter(|row| age(row.finished_at, last) <= RECENT) {
        chunks += 1;
        projects += row.locked;
        ms += row.ms.unsigned_abs();
        longest = longest.max(row.ms.unsigned_abs());
        span = span.max(age(row.finished_at, last) + Duration::from_millis(row.ms.unsigned_abs()));
    }
    let rate = projects as f64 / span.max(Duration::from_millis(1)).as_secs_f64();
    let mean = Duration::from_millis(ms / chunks.unsigned_abs().max(1));
    let recent = Recent { chunks, projects, rate, mean, longest: Duration::from_millis(longest) };
    Ok((Some(recent), Some(last)))
}

fn leases(connection: &mut AnyConnection, run: RunId, now: Timestamp) -> Result<Vec<LeaseStatus>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        sweep: i32,
        #[diesel(sql_type = Integer)]
        number: i32,
        #[diesel(sql_type = Text)]
        owner: String,
        #[diesel(sql_type = Nullable<DbTimestamp>)]
        leased_at: Option<Timestamp>,
        #[diesel(sql_type = DbTimestamp)]
        lease_expires_at: Timestamp,
        #[diesel(sql_type = Integer)]
        attempts: i32,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT sweep, number, owner, leased_at, lease_expires_at, attempts FROM sti_backfill_chunk \
         WHERE run_id = $1 AND state = 'leased' ORDER BY id",
    )
    .bind::<BigInt, _>(run.0)
    .load(connection)
    .doing(format!("reading the leases of run {run}"))?;
    let lease = |row: Row| LeaseStatus {
        sweep: row.sweep,
        number: row.number,
        since: row.leased_at.filter(|_| !row.owner.is_empty()),
        owner: row.owner,
        expires_at: row.lease_expires_at,
        expired: row.lease_expires_at < now,
        attempts: row.attempts,
    };
    Ok(rows.into_iter().map(lease).collect())
}

fn waits(connection: &mut AnyConnection, run: RunId, now: Timestamp) -> Result<Vec<WaitStatus>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        owner: String,
        #[diesel(sql_type = Text)]
        reason: String,
        #[diesel(sql_type = BigInt)]
        waited_ms: i64,
        #[diesel(sql_type = Bool)]
        waiting: bool,
        #[diesel(sql_type = Text)]
        detail: String,
        #[diesel(sql_type = DbTimestamp)]
        since: Timestamp,
        #[diesel(sql_type = DbTimestamp)]
        seen_at: Timestamp,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT owner, reason, waited_ms, waiting, detail, since, seen_at FROM sti_backfill_wait \
         WHERE run_id = $1 ORDER BY owner, reason",
    )
    .bind::<BigInt, _>(run.0)
    .load(connection)
    .doing(format!("reading what run {run} waits for"))?;
    let wait = |row: Row| {
        let waiting = row.waiting && age(row.seen_at, now) < HEARD_OF;
        let counted = Duration::from_millis(row.waited_ms.unsigned_abs());
        // What has come since it was last written.
        let since_then = if waiting { age(row.seen_at, now) } else { Duration::ZERO };
        WaitStatus {
            owner: row.owner,
            reason: row.reason,
            waited: counted + since_then,
            waiting,
            detail: row.detail,
            since: row.since,
        }
    };
    Ok(rows.into_iter().map(wait).collect())
}

/// Empty in a database whose migrations are older than the quarantine.
fn quarantined(connection: &mut AnyConnection, run: RunId) -> Result<Vec<(String, i64)>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        class: String,
        #[diesel(sql_type = BigInt)]
        projects: i64,
    }
    if catalog::columns(connection, "sti_backfill_quarantine")?.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT class, count(*) AS projects FROM sti_backfill_quarantine WHERE run_id = $1 \
         GROUP BY class ORDER BY class",
    )
    .bind::<BigInt, _>(run.0)
    .load(connection)
    .doing("reading the quarantine")?;
    Ok(rows.into_iter().map(|row| (row.class, row.projects)).collect())
}
