//! How long the locks would be held where everything is done under them (SQLite).

use std::time::Duration;

use super::plan::LockEstimate;

/// Rows a second that are archived on two cores that have four times as much to do as they can: 70,000 were measured
/// there, and twice as many on quieter ones.
const ARCHIVED: u32 = 60_000;

/// Rows a second while the columns are dropped: the table is written anew for each of the five.
const REWRITTEN: u32 = 80_000;

/// What the statements take that do not depend on the number of rows: asking the catalogue, above all.
const FIXED: Duration = Duration::from_millis(20);

/// The estimate for so many projects, whose two sides were compared in `compare`.
pub(super) fn estimate(rows: i64, compare: Duration) -> LockEstimate {
    let at = |rate: u32| {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = rows.max(0) as f64 / f64::from(rate);
        Duration::from_secs_f64(seconds)
    };
    LockEstimate {
        compare,
        archive: at(ARCHIVED),
        drop: FIXED + at(REWRITTEN),
        basis: format!(
            "{rows} projects were compared in {:.2} s for this plan; archiving is taken for {ARCHIVED} rows a second; \
             dropping five columns writes the table anew, {REWRITTEN} rows a second. A rehearsal measures it",
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
        assert_eq!(estimate(240_000, second).total(), 8 * second + FIXED);
        assert_eq!(estimate(0, Duration::ZERO).total(), FIXED);
    }
}
