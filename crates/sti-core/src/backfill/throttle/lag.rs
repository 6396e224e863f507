//! How far the standbys are behind, read from the primary.
//!
//! The server's own figure, `replay_lag`, is not enough: it is NULL on an idle standby and on one that has not
//! replayed anything yet, and it stands still when a standby does. So each look also notes how far the primary's log
//! was; WAL of a noted moment that is not replayed is a lag of at least the time since then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::ThrottleReason;
use super::pause::passes;
use crate::db::error::{DbError, Doing as _};
use crate::db::{AnyConnection, Backend, dialect};

/// A good answer is not asked for again before this has passed: the standbys report about that often.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// More moments than this are thinned out.
const MOMENTS: usize = 1024;

/// Keeps the standbys within `limit`.
#[derive(Debug)]
pub(super) struct LagMeter {
    limit: Duration,
    moments: Moments,
    good_at: Option<Instant>,
}

/// A standby as `pg_stat_replication` shows it, positions in bytes of log.
#[derive(Clone, Debug, diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    written: i64,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    is_standby: bool,
    #[diesel(sql_type = Text)]
    name: String,
    /// NULL for a role that may not see it.
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
    #[diesel(sql_type = Bool)]
    flushes: bool,
    #[diesel(sql_type = Nullable<BigInt>)]
    replayed: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    lag_ms: Option<i64>,
}

// A backup that is being taken has a row too, and is no standby.
const STANDBYS: &str = "\
    SELECT (w.lsn - '0/0')::bigint AS written, current_user::text AS role, r.pid IS NOT NULL AS is_standby, \
           COALESCE(r.application_name, '') AS name, r.state, r.flush_lsn IS NOT NULL AS flushes, \
           (r.replay_lsn - '0/0')::bigint AS replayed, \
           (EXTRACT(EPOCH FROM r.replay_lag) * 1000)::bigint AS lag_ms \
    FROM (SELECT pg_current_wal_flush_lsn() AS lsn) w \
    LEFT JOIN pg_stat_replication r ON r.state IS DISTINCT FROM 'backup'";

impl LagMeter {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, moments: Moments::default(), good_at: None }
    }

    /// Whether the standbys are too far behind, or it cannot be told.
    ///
    /// # Errors
    /// What passes when it is tried again.
    pub(super) fn look(&mut self, connection: &mut AnyConnection) -> Result<Option<ThrottleReason>, DbError> {
        if self.good_at.is_some_and(|at| at.elapsed() < GOOD_FOR.min(self.limit)) {
            return Ok(None);
        }
        if dialect::backend(connection) == Backend::Sqlite {
            let what = "SQLite has no replication to read a lag of".to_owned();
            return Ok(Some(ThrottleReason::Unreadable { what }));
        }
        let rows: Result<Vec<Row>, DbError> =
            diesel::sql_query(STANDBYS).load(connection).doing("reading the replication lag");
        let reason = match rows {
            Ok(rows) => self.judge(&rows, Instant::now()),
            Err(error) if passes(&error) => return Err(error),
            Err(error) => Some(ThrottleReason::Unreadable { what: error.to_string() }),
        };
        self.good_at = reason.is_none().then(Instant::now);
        Ok(reason)
    }

    /// The reason to wait that the rows of one look are, if they are one.
    fn judge(&mut self, rows: &[Row], now: Instant) -> Option<ThrottleReason> {
        let unreadable = |what: String| Some(ThrottleReason::Unreadable { what });
        if let Some(row) = rows.iter().find(|row| row.is_standby && row.state.is_none()) {
            return unreadable(format!(
                "role {} may not see the replication lag: have a superuser run  GRANT pg_read_all_stats TO {}",
                row.role, row.role
            ));
        }
        // A receiver that writes the log to files (pg_receivewal) flushes and never replays.
        let standbys =
            || rows.iter().filter(|row| row.is_standby && (row.replayed.is_some() || !row.flushes));
        if standbys().next().is_none() {
            return Some(ThrottleReason::NoStandby);
        }
        let written = rows.first().map_or(0, |row| row.written);
        let mut worst = (Duration::ZERO, String::new());
        for row in standbys() {
            let Some(lag) = self.moments.lag_of(row, now) else {
                self.moments.note(now, written, standbys());
                return unreadable(format!("standby {} has not told yet how far it has replayed", row.name));
            };
            if lag >= worst.0 {
                worst = (lag, row.name.clone());
            }
        }
        self.moments.note(now, written, standbys());
        let (lag, standby) = worst;
        (lag > self.limit).then_some(ThrottleReason::ReplicaLag { standby, lag, limit: self.limit })
    }
}

/// How far the primary's log was at some moments, oldest first.
#[derive(Debug, Default)]
struct Moments(VecDeque<(Instant, i64)>);

impl Moments {
    /// How far a standby is behind at least; `None` while nothing is known.
    fn lag_of(&self, row: &Row, now: Instant) -> Option<Duration> {
        let replayed = row.replayed?;
        let reported = row.lag_ms.map(|ms| Duration::from_millis(ms.unsigned_abs()));
        let waits_since = self.0.iter().find(|(_, written)| *written > replayed).map(|(at, _)| *at);
        let at_least = waits_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let follows = self.0.iter().any(|(_, written)| *written <= replayed);
        match reported {
            Some(reported) => Some(reported.max(at_least)),
            // Everything is replayed, or everything up to a moment that was noted.
            None if replayed >= row.written || follows => Some(at_least),
            None => None,
        }
    }

    fn note<'r>(&mut self, now: Instant, written: i64, standbys: impl Iterator<Item = &'r Row>) {
        if self.0.back().is_none_or(|(_, last)| written > *last) {
            self.0.push_back((now, written));
        }
        // Of what all have replayed, the newest moment is enough.
        let replayed = standbys.filter_map(|row| row.replayed).min().unwrap_or(0);
        while self.0.get(1).is_some_and(|(_, written)| *written <= replayed) {
            self.0.pop_front();
        }
        if self.0.len() > MOMENTS {
            let mut keep = false;
            self.0.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }
}

#[cfg(test)]
mod tests;
