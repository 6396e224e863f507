//! A share of the time to rest in.

use std::str::FromStr;
use std::time::Duration;

/// The share of its time that a worker rests, 0 to 0.99: 0.5 rests as long as it works, 0.9 nine times as long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace(f64);

/// A text that names no share.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share of time to rest: expected 0 to 0.99, as in 0.5, or 0% to 99%")]
pub struct InvalidPace(String);

impl Pace {
    /// The rest after some work.
    pub(super) fn rest_after(self, worked: Duration) -> Duration {
        worked.mul_f64(self.0 / (1.0 - self.0))
    }
}

impl FromStr for Pace {
    type Err = InvalidPace;

    fn from_str(text: &str) -> Result<Self, InvalidPace> {
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
            None => text.parse(),
        };
        match share {
            Ok(share) if (0.0..=0.99).contains(&share) => Ok(Self(share)),
            _ => Err(InvalidPace(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_in_proportion_to_the_work() {
        let rest =
            |pace: &str| pace.parse::<Pace>().unwrap().rest_after(Duration::from_millis(100)).as_millis();
        assert_eq!(rest("0"), 0);
        assert_eq!(rest("0.5"), 100);
        assert_eq!(rest("50%"), 100);
        assert_eq!(rest("0.75"), 300);
        assert_eq!(Pace::default().rest_after(Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["1", "-0.1", "100%", "NaN", "inf", "half", "", "%"] {
            assert!(text.parse::<Pace>().is_err(), "{text}");
        }
    }
}
