//! How many projects a chunk has: pinned, or found out while the run goes on.

use std::time::Duration;

use crate::db::Backend;

/// Projects in a chunk: 1 to 50,000. A chunk's projects are locked together until it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize(u32);

/// A number that is no chunk size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is no chunk size: expected 1 to {max} projects", max = ChunkSize::MAX)]
pub struct InvalidChunkSize(u32);

impl ChunkSize {
    /// The greatest chunk: its locks would be felt beyond it.
    pub const MAX: u32 = 50_000;

    /// Checks a chunk size.
    ///
    /// # Errors
    /// 0, or more than [`ChunkSize::MAX`].
    pub const fn new(projects: u32) -> Result<Self, InvalidChunkSize> {
        if projects == 0 || projects > Self::MAX {
            Err(InvalidChunkSize(projects))
        } else {
            Ok(Self(projects))
        }
    }

    /// The number of projects.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// How long a chunk should take, and so how long its projects stay locked: 10 ms to 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkTime(u32);

/// A number of milliseconds that is no time for a chunk.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} ms is no time for a chunk: expected {min} to {max} ms", min = ChunkTime::MIN, max = ChunkTime::MAX)]
pub struct InvalidChunkTime(u32);

impl ChunkTime {
    /// The shortest: below it the ledger would cost more than the rows.
    pub const MIN: u32 = 10;
    /// The longest: writers of a locked project wait for about as long.
    pub const MAX: u32 = 10_000;

    /// Checks a number of milliseconds.
    ///
    /// # Errors
    /// Less than [`ChunkTime::MIN`] or more than [`ChunkTime::MAX`].
    pub const fn from_ms(ms: u32) -> Result<Self, InvalidChunkTime> {
        if ms < Self::MIN || ms > Self::MAX { Err(InvalidChunkTime(ms)) } else { Ok(Self(ms)) }
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl Default for ChunkTime {
    fn default() -> Self {
        Self(250)
    }
}

/// How large the chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizing {
    /// All of one size.
    Pinned(ChunkSize),
    /// Between 50 and 5,000 projects (2,000 on SQLite), so that a chunk takes about this long. It begins with 1000.
    Aimed(ChunkTime),
}

impl Default for Sizing {
    fn default() -> Self {
        Self::Aimed(ChunkTime::default())
    }
}

impl Sizing {
    /// The longest run of one statement of a chunk: 20 times what the whole chunk should take and at least 5 s; 30 s
    /// where the size is pinned.
    pub(super) fn statement_limit(self) -> Duration {
        match self {
            Self::Pinned(_) => Duration::from_secs(30),
            Self::Aimed(time) => (time.get() * 20).max(Duration::from_secs(5)),
        }
    }
}

/// The size of the next chunk, from how long the chunks before it took. It belongs to one process.
#[derive(Clone, Debug)]
pub(super) struct Sizer {
    sizing: Sizing,
    /// What it never goes above by itself.
    most: f64,
    size: f64,
    /// Projects a second, the later chunks weighing more.
    rate: Option<f64>,
}

/// Where it begins.
const FIRST: f64 = 1000.0;
/// What it never goes below by itself.
const LEAST: f64 = 50.0;
/// What it never goes above by itself: the pages of so many projects, which lie anywhere in the table, stay in the server's
/// cache from the lock to the foreign key's check. Larger chunks were no faster on a small table and a tenth slower on one
/// that is larger than the cache, and hold their locks for longer.
const MOST: f64 = 5000.0;
/// The same on SQLite, whose cache is smaller. Larger chunks were slower by half at 1,000,000 projects.
const MOST_ON_SQLITE: f64 = 2000.0;
/// What remains of the old rate with each new one.
const DECAY: f64 = 0.75;
/// The most that a chunk is larger than the one before.
const GROWTH: f64 = 1.5;
/// A chunk that takes so many times what it should is an alarm, not a measurement.
const ALARM: f64 = 5.0;

impl Sizer {
    pub(super) fn new(sizing: Sizing, backend: Backend) -> Self {
        let most = match backend {
            Backend::Postgres => MOST,
            Backend::Sqlite => MOST_ON_SQLITE,
        };
        let size = match sizing {
            Sizing::Pinned(size) => f64::from(size.get()),
            Sizing::Aimed(_) => FIRST,
        };
        Self { sizing, most, size, rate: None }
    }

    /// Projects in the next chunk.
    pub(super) fn size(&self) -> u32 {
        self.size as u32
    }

    /// A chunk of `keys` projects took `time`, from BEGIN to the answer of COMMIT.
    pub(super) fn took(&mut self, keys: u32, time: Duration) {
        let Sizing::Aimed(aim) = self.sizing else { return };
        let (aim, seconds, keys) =
            (aim.get().as_secs_f64(), time.as_secs_f64().max(0.000_1), f64::from(keys));
        // What is faster than the greatest chunk needs would only have to be forgotten again.
        let now = (keys / seconds).min(self.most / aim);
        if seconds > ALARM * aim {
            self.rate = Some(now);
            self.cut(keys / 10.0);
            return;
        }
        let rate = self.rate.map_or(now, |old| DECAY * old + (1.0 - DECAY) * now);
        self.rate = Some(rate);
        self.size = (rate * aim).min(self.size * GROWTH).clamp(LEAST, self.most);
    }

    /// A statement of a chunk of `keys` projects ran into its limit.
    pub(super) fn timed_out(&mut self, keys: u32) {
        if matches!(self.sizing, Sizing::Aimed(_)) {
            self.rate = None;
            self.cut(f64::from(keys) / 2.0);
        }
    }

    /// Several workers may be struck by the same slowness: the size is cut to a share of what was slow, once.
    fn cut(&mut self, size: f64) {
        self.size = self.size.min(size).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aimed(ms: u32) -> Sizer {
        Sizer::new(Sizing::Aimed(ChunkTime::from_ms(ms).unwrap()), Backend::Postgres)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn chunk_sizes_and_times_have_bounds() {
        let message = ChunkSize::new(0).unwrap_err().to_string();
        assert_eq!(message, "0 is no chunk size: expected 1 to 50000 projects");
        assert!(ChunkSize::new(50_001).is_err());
        assert_eq!(ChunkSize::new(1).unwrap().get(), 1);
        let message = ChunkTime::from_ms(9).unwrap_err().to_string();
        assert_eq!(message, "9 ms is no time for a chunk: expected 10 to 10000 ms");
        assert!(ChunkTime::from_ms(10_001).is_err());
    }

    #[test]
    fn on_sqlite_chunks_stay_small() {
        let mut sizer = Sizer::new(Sizing::default(), Backend::Sqlite);
        for _ in 0..10 {
            let size = sizer.size();
            sizer.took(size, ms(1));
        }
        assert_eq!(sizer.size(), 2_000);
        let pinned = Sizing::Pinned(ChunkSize::new(9_000).unwrap());
        assert_eq!(Sizer::new(pinned, Backend::Sqlite).size(), 9_000);
    }

    #[test]
    fn a_pinned_size_stays() {
        let mut sizer = Sizer::new(Sizing::Pinned(ChunkSize::new(7).unwrap()), Backend::Postgres);
        sizer.took(7, ms(1));
        sizer.took(7, ms(60_000));
        sizer.timed_out(7);
        assert_eq!(sizer.size(), 7);
    }

    #[test]
    fn it_grows_to_the_time_by_half_at_most() {
        let mut sizer = aimed(250);
        let mut sizes = vec![sizer.size()];
        for _ in 0..8 {
            // 16,000 projects a second: 4,000 of them in 250 ms.
            sizer.took(sizer.size(), Duration::from_secs_f64(f64::from(sizer.size()) / 16_000.0));
            sizes.push(sizer.size());
        }
        assert_eq!(sizes, [1000, 1500, 2250, 3375, 4000, 4000, 4000, 4000, 4000]);
    }

    #[test]
    fn it_stays_in_its_bounds() {
        let mut sizer = aimed(250);
        for _ in 0..50 {
            sizer.took(sizer.size(), ms(1));
        }
        assert_eq!(sizer.size(), 5000);
        for _ in 0..50 {
            sizer.took(sizer.size(), ms(1200));
        }
        assert_eq!(sizer.size(), 50);
    }

    #[test]
    fn one_slow_chunk_shrinks_it_a_little_and_an_alarm_to_a_tenth() {
        let mut sizer = aimed(250);
        for _ in 0..8 {
            sizer.took(4000, ms(250));
        }
        assert_eq!(sizer.size(), 4000);
        sizer.took(4000, ms(500));
        assert_eq!(sizer.size(), 3500, "three quarters of 16,000 a second and one of 8,000");
        sizer.took(3500, ms(1251));
        assert_eq!(sizer.size(), 350);
        // Another worker's chunk, struck by the same.
        sizer.took(3500, ms(1251));
        assert_eq!(sizer.size(), 350);
    }

    #[test]
    fn a_statement_timeout_halves() {
        let mut sizer = aimed(250);
        sizer.timed_out(1000);
        assert_eq!(sizer.size(), 500);
        sizer.timed_out(20);
        assert_eq!(sizer.size(), 50, "never below the least");
    }

    #[test]
    fn the_limit_of_a_statement_follows_the_time() {
        assert_eq!(Sizing::default().statement_limit(), ms(5000));
        assert_eq!(Sizing::Aimed(ChunkTime::from_ms(1000).unwrap()).statement_limit(), ms(20_000));
        assert_eq!(Sizing::Pinned(ChunkSize::new(1).unwrap()).statement_limit(), ms(30_000));
    }
}
