//! A time of day in which a backfill may work.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Duration, Timelike as _, Utc};

const DAY: i64 = 24 * 60;

/// A daily window with an offset from UTC, as `02:00-04:00+00:00`: from the first time (inclusive) to the second
/// (exclusive). It may cross midnight. An offset, and no name of a zone, so that a change to summer time moves nothing
/// in the middle of a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Minutes after midnight, local.
    from: i64,
    to: i64,
    /// Minutes east of UTC.
    offset: i64,
}

/// A text that names no window.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no window: {problem}; expected FROM-TO with the offset from UTC, as in 02:00-04:00+00:00"
)]
pub struct InvalidWindow {
    text: String,
    problem: &'static str,
}

impl Window {
    /// When the window opens next; `None` while it is open.
    pub(super) fn opens_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let second = i64::from(now.num_seconds_from_midnight());
        let [from, to] = [self.from, self.to].map(|local| (local - self.offset).rem_euclid(DAY) * 60);
        let is_open = if from < to { (from..to).contains(&second) } else { second >= from || second < to };
        if is_open {
            return None;
        }
        let whole = now - Duration::nanoseconds(i64::from(now.nanosecond()));
        Some(whole + Duration::seconds((from - second).rem_euclid(DAY * 60)))
    }
}

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let bad = |problem| InvalidWindow { text: text.to_owned(), problem };
        let (from, rest) = text.split_once('-').ok_or_else(|| bad("it has no end"))?;
        let at = rest.find(['+', '-', 'Z']).ok_or_else(|| bad("it has no offset from UTC"))?;
        let (to, offset) = rest.split_at(at);
        let time = |text| minutes(text, 23).ok_or_else(|| bad("a time is not HH:MM"));
        let (from, to) = (time(from)?, time(to)?);
        let offset = match (offset.get(..1), offset.get(1..)) {
            (Some("Z"), Some("")) => Some(0),
            (Some("+"), Some(east)) => minutes(east, 14),
            (Some("-"), Some(west)) => minutes(west, 12).map(|minutes| -minutes),
            _ => None,
        };
        let offset = offset.ok_or_else(|| bad("the offset is not +HH:MM, -HH:MM or Z"))?;
        if from == to {
            return Err(bad("it ends when it begins"));
        }
        Ok(Self { from, to, offset })
    }
}

/// The minutes of `HH:MM`, with at most `hours` hours.
fn minutes(text: &str, hours: i64) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| digits && *number <= most)
    };
    Some(number(hour, hours)? * 60 + number(minute, 59)?)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |minutes: i64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let sign = if self.offset < 0 { '-' } else { '+' };
        write!(f, "{}-{}{sign}{}", time(self.from), time(self.to), time(self.offset.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(window: &str, now: &str) -> Option<String> {
        let now = format!("2026-03-01T{now}Z").parse::<DateTime<Utc>>().unwrap();
        let opens = window.parse::<Window>().unwrap().opens_at(now);
        opens.map(|at| at.format("%d %H:%M:%S").to_string())
    }

    #[test]
    fn opens_at_its_first_minute_and_closes_at_its_last() {
        let window = "02:00-04:00+00:00";
        assert_eq!(opens(window, "01:59:59.5").as_deref(), Some("01 02:00:00"));
        assert_eq!(opens(window, "02:00:00"), None);
        assert_eq!(opens(window, "03:59:59.999"), None);
        assert_eq!(opens(window, "04:00:00").as_deref(), Some("02 02:00:00"));
    }

    #[test]
    fn crosses_midnight() {
        let window = "22:30-05:00Z";
        assert_eq!(opens(window, "22:29:00").as_deref(), Some("01 22:30:00"));
        assert_eq!(opens(window, "23:59:59"), None);
        assert_eq!(opens(window, "00:00:00"), None);
        assert_eq!(opens(window, "04:59:59"), None);
        assert_eq!(opens(window, "05:00:00").as_deref(), Some("01 22:30:00"));
        assert_eq!(opens("22:00-00:00Z", "00:00:00").as_deref(), Some("01 22:00:00"));
        assert_eq!(opens("22:00-00:00Z", "23:59:59"), None);
    }

    #[test]
    fn its_times_are_those_of_its_offset() {
        // 02:00 to 04:00 in India is 20:30 to 22:30 of the day before in UTC.
        assert_eq!(opens("02:00-04:00+05:30", "20:29:00").as_deref(), Some("01 20:30:00"));
        assert_eq!(opens("02:00-04:00+05:30", "21:00:00"), None);
        // 20:00 to 23:00 in New York is 01:00 to 04:00 of the next day.
        assert_eq!(opens("20:00-23:00-05:00", "01:00:00"), None);
        assert_eq!(opens("20:00-23:00-05:00", "04:00:00").as_deref(), Some("02 01:00:00"));
        // A window that does not cross midnight where it is, and does in UTC.
        assert_eq!(opens("00:00-03:00+02:00", "23:30:00"), None);
        assert_eq!(opens("00:00-03:00+02:00", "00:59:59"), None);
        assert_eq!(opens("00:00-03:00+02:00", "01:00:00").as_deref(), Some("01 22:00:00"));
    }

    #[test]
    fn what_is_no_window_is_told() {
        let problem = |text: &str| text.parse::<Window>().unwrap_err().problem;
        assert_eq!(problem("02:00"), "it has no end");
        assert_eq!(problem("02:00-04:00"), "it has no offset from UTC");
        assert_eq!(problem("2:00-04:00Z"), "a time is not HH:MM");
        assert_eq!(problem("02:00-24:00Z"), "a time is not HH:MM");
        assert_eq!(problem("02:60-04:00Z"), "a time is not HH:MM");
        assert_eq!(problem("02:00-04:00+1"), "the offset is not +HH:MM, -HH:MM or Z");
        assert_eq!(problem("02:00-04:00+15:00"), "the offset is not +HH:MM, -HH:MM or Z");
        assert_eq!(problem("02:00-04:00Zulu"), "the offset is not +HH:MM, -HH:MM or Z");
        assert_eq!(problem("02:00-02:00Z"), "it ends when it begins");
        assert_eq!(problem("-04:00Z"), "a time is not HH:MM");
        for text in ["02:00-04:00+00:00", "22:30-05:00-03:30"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
    }
}
