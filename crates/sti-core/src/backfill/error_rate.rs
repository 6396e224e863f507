//! How many of the projects may be refused by the database before a backfill stops.

/// The most errors in a hundred projects. Judged from the 100th project on, by what one process has committed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorRate(f64);

/// A number that is no share of a hundred.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{0} is no error rate: expected 0 to 100 percent")]
pub struct InvalidErrorRate(f64);

/// Fewer projects say nothing about a rate.
const ENOUGH: i64 = 100;

impl ErrorRate {
    /// Checks a percentage: at 0 any error is too many, at 100 none is.
    ///
    /// # Errors
    /// A number below 0 or above 100, or none.
    pub fn percent(percent: f64) -> Result<Self, InvalidErrorRate> {
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent)) } else { Err(InvalidErrorRate(percent)) }
    }

    /// What is said when so many errors are too many.
    pub(super) fn exceeded_by(self, errors: i64, projects: i64) -> String {
        format!("{errors} of {projects} projects were refused, more than {self}")
    }

    /// Whether so many errors among so many projects are too many.
    #[must_use]
    pub fn is_exceeded(self, errors: i64, projects: i64) -> bool {
        projects >= ENOUGH && errors as f64 * 100.0 > self.0 * projects as f64
    }
}

/// As the rollout plan has it.
impl Default for ErrorRate {
    fn default() -> Self {
        Self(5.0)
    }
}

impl std::fmt::Display for ErrorRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_more_than_the_rate_of_at_least_a_hundred() {
        let rate = ErrorRate::default();
        assert!(!rate.is_exceeded(99, 99));
        assert!(!rate.is_exceeded(5, 100));
        assert!(rate.is_exceeded(6, 100));
        assert!(!rate.is_exceeded(50, 1000));
        assert!(rate.is_exceeded(51, 1000));
        assert!(ErrorRate::percent(0.0).unwrap().is_exceeded(1, 1_000_000));
        assert!(!ErrorRate::percent(100.0).unwrap().is_exceeded(1000, 1000));
    }

    #[test]
    fn only_a_percentage_is_a_rate() {
        for bad in [-1.0, 100.1, f64::NAN, f64::INFINITY] {
            assert!(ErrorRate::percent(bad).is_err(), "{bad}");
        }
        let message = ErrorRate::percent(101.0).unwrap_err().to_string();
        assert_eq!(message, "101 is no error rate: expected 0 to 100 percent");
    }
}
