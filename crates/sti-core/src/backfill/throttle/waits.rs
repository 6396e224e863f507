//! How long this process has waited for what, in the ledger, so that another terminal can see it. A convenience: what
//! cannot be written now is written later, and never keeps a chunk from being done.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Bool, Text};

use super::ThrottleReason;
use crate::backfill::ledger::RunId;
use crate::db::error::{DbError, Doing as _};
use crate::db::{AnyConnection, dialect, write_transaction};

/// How often a wait that goes on is written.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Waits {
    run: RunId,
    owner: String,
    rested: Duration,
    rests_written: Instant,
    /// How many workers are in a rest that was written.
    resting: u32,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    reason: ThrottleReason,
    /// Up to when it is in the ledger.
    counted: Instant,
    begins: bool,
}

impl Waits {
    pub(super) fn new(run: RunId, owner: String) -> Self {
        Self { run, owner, rested: Duration::ZERO, rests_written: Instant::now(), resting: 0, current: None }
    }

    /// A worker rests, and will for a while.
    pub(super) fn resting(&mut self, connection: &mut AnyConnection, begins: bool) {
        self.resting += u32::from(begins);
        let _ = self.write(connection, &ThrottleReason::Pace, Duration::ZERO, true, begins);
    }

    /// Counts a rest; writes what has come together now and then, and behind a rest that was written.
    pub(super) fn rested(&mut self, connection: &mut AnyConnection, rested: Duration, was_written: bool) {
        self.rested += rested;
        self.resting = self.resting.saturating_sub(u32::from(was_written));
        let due = was_written || self.rests_written.elapsed() >= WRITE_AGAIN;
        let others_rest = self.resting > 0;
        if due && self.write(connection, &ThrottleReason::Pace, self.rested, others_rest, false).is_ok() {
            self.rested = Duration::ZERO;
            self.rests_written = Instant::now();
        }
    }

    /// It waits for this reason.
    pub(super) fn waiting(&mut self, connection: &mut AnyConnection, reason: &ThrottleReason) {
        let now = Instant::now();
        let current = self.current.get_or_insert_with(|| Current {
            reason: reason.clone(),
            counted: now,
            begins: true,
        });
        current.reason = reason.clone();
        let (counted, begins) = (current.counted, current.begins);
        if !begins && now.saturating_duration_since(counted) < WRITE_AGAIN {
            return;
        }
        if self.write(connection, reason, now.saturating_duration_since(counted), true, begins).is_ok()
            && let Some(current) = &mut self.current
        {
            current.counted = now;
            current.begins = false;
        }
    }

    /// It waits no longer.
    pub(super) fn over(&mut self, connection: &mut AnyConnection) {
        if let Some(Current { reason, counted, begins }) = self.current.take() {
            let _ = self.write(connection, &reason, counted.elapsed(), false, begins);
        }
    }

    fn write(
        &self,
        connection: &mut AnyConnection,
        reason: &ThrottleReason,
        waited: Duration,
        waiting: bool,
        begins: bool,
    ) -> Result<(), DbError> {
        let now = dialect::backend(connection).now();
        let since = if begins { "EXCLUDED.since" } else { "sti_backfill_wait.since" };
        let sql = format!(
            "INSERT INTO sti_backfill_wait \
                (run_id, owner, reason, waited_ms, waiting, detail, since, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, {now}, {now}) \
             ON CONFLICT (run_id, owner, reason) DO UPDATE SET \
                waited_ms = sti_backfill_wait.waited_ms + EXCLUDED.waited_ms, waiting = EXCLUDED.waiting, \
                detail = EXCLUDED.detail, since = {since}, seen_at = EXCLUDED.seen_at"
        );
        write_transaction(connection, |connection| {
            diesel::sql_query(sql)
                .bind::<BigInt, _>(self.run.0)
                .bind::<Text, _>(&self.owner)
                .bind::<Text, _>(reason.kind())
                .bind::<BigInt, _>(i64::try_from(waited.as_millis()).unwrap_or(i64::MAX))
                .bind::<Bool, _>(waiting)
                .bind::<Text, _>(reason.to_string())
                .execute(connection)
                .doing("noting what the backfill waits for")
                .map(|_| ())
        })
    }
}
