//! How long the locks would be held.

use std::time::Duration;

use super::plan::LockEstimate;
use crate::db::Backend;

/// Rows a second that are archived on two cores that have four times as much to do as they can: 45,000 and 70,000 were
/// measured there, and twice as many on quieter ones.
const fn archived_per_second(backend: Backend) -> u32 {
    match backend {
        Backend::Postgres => 40_000,
        Backend::Sqlite => 60_000,
    }
}

/// The columns dropped, in rows a second: SQLite writes the table anew for each of the five, PostgreSQL changes its
/// catalogue only.
const fn rewritten_per_second(backend: Backend) -> Option<u32> {
    match backend {
        Backend::Postgres => None,
        Backend::Sqlite => Some(80_000),
    }
}

/// What the statements take that do not depend on the number of rows: asking the catalogue, above all.
const fn fixed(backend: Backend) -> Duration {
    match backend {
        Backend::Postgres => Duration::from_millis(100),
        Backend::Sqlite => Duration::from_millis(20),
    }
}

/// The estimate for so many projects, whose two sides were compared in `compare`.
pub(super) fn estimate(backend: Backend, rows: i64, compare: Duration) -> LockEstimate {
    let at = |rate: u32| {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = rows.max(0) as f64 / f64::from(rate);
        Duration::from_secs_f64(seconds)
    };
    let archived = archived_per_second(backend);
    let rewritten = rewritten_per_second(backend);
    let dropping = rewritten.map_or_else(
        || "dropping the columns changes the catalogue only".to_owned(),
        |rate| format!("dropping five columns writes the table anew, {rate} rows a second"),
    );
    LockEstimate {
        compare,
        archive: at(archived),
        drop: fixed(backend) + rewritten.map_or(Duration::ZERO, at),
        basis: format!(
            "{rows} projects were compared in {:.2} s for this plan; archiving is taken for {archived} rows a second; \
             {dropping}. A rehearsal measures it",
            compare.as_secs_f64()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_the_number_of_projects() {
        let second = Duration::from_secs(1);
        let postgres = estimate(Backend::Postgres, 80_000, second);
        assert_eq!(postgres.total(), 3 * second + fixed(Backend::Postgres));
        let sqlite = estimate(Backend::Sqlite, 240_000, second);
        assert_eq!(sqlite.total(), 8 * second + fixed(Backend::Sqlite));
        assert_eq!(estimate(Backend::Sqlite, 0, Duration::ZERO).total(), fixed(Backend::Sqlite));
    }
}
