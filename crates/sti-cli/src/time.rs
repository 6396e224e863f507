//! Times as people say them.

use std::time::Duration;

use sti_core::db::sql_types::Timestamp;

/// `2026-01-31 14:05:09 UTC`.
#[must_use]
pub fn utc(at: Timestamp) -> String {
    at.0.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`: rounded down.
#[must_use]
pub fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fit_the_size() {
        let said = |seconds| rough(Duration::from_secs(seconds));
        assert_eq!([said(0), said(119), said(120), said(7199)], ["0 s", "119 s", "2 min", "119 min"]);
        assert_eq!([said(7200), said(172_799), said(187_200)], ["2 h 0 min", "47 h 59 min", "2 d 4 h"]);
    }
}
