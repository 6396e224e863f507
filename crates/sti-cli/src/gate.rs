//! The rollout plan's rollback triggers, asked of a Prometheus server that has our rules loaded.

mod trigger;

pub use trigger::{Trigger, Unit};

use std::time::Duration;

use crate::prometheus::{AskError, Prometheus, Sample};

/// What one trigger says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every series is within the limit; this is the worst of them.
    Go(Sample),
    /// A series is beyond the limit; this is the worst of them.
    Stop(Sample),
    /// There is no series, or one without a number. What cannot be read is a reason to stop.
    Unreadable(&'static str),
}

impl Verdict {
    /// Whether the rollout may go on as far as this trigger knows.
    #[must_use]
    pub const fn is_go(&self) -> bool {
        matches!(self, Self::Go(_))
    }
}

/// A trigger and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which one.
    pub trigger: Trigger,
    /// What was asked.
    pub query: String,
    /// What was answered.
    pub verdict: Verdict,
}

impl Reading {
    /// Why it is a reason to stop, in a few words; `None` if it is none.
    #[must_use]
    pub fn stops(&self) -> Option<String> {
        let (trigger, unit) = (self.trigger, self.trigger.unit());
        match &self.verdict {
            Verdict::Go(_) => None,
            Verdict::Stop(sample) => Some(format!(
                "{trigger} is {}, more than {}",
                unit.show(sample.value),
                unit.show(trigger.limit())
            )),
            Verdict::Unreadable(reason) => Some(format!("{trigger} cannot be read ({reason})")),
        }
    }
}

/// Asks for each trigger, in order. All of them are asked, also when the first says stop.
///
/// # Errors
/// The server cannot be asked at all: then there is no verdict.
pub fn ask(
    prometheus: &Prometheus,
    triggers: &[Trigger],
    window: Duration,
) -> Result<Vec<Reading>, AskError> {
    let read = |trigger: &Trigger| {
        let query = trigger.query(window);
        let verdict = judge(prometheus.query(&query)?, trigger.limit());
        Ok(Reading { trigger: *trigger, query, verdict })
    };
    triggers.iter().map(read).collect()
}

fn judge(samples: Vec<Sample>, limit: f64) -> Verdict {
    if samples.is_empty() {
        return Verdict::Unreadable("no such series");
    }
    if samples.iter().any(|sample| sample.value.is_nan()) {
        return Verdict::Unreadable("not a number");
    }
    let worst = samples.into_iter().reduce(|a, b| if b.value > a.value { b } else { a });
    match worst {
        Some(worst) if worst.value > limit => Verdict::Stop(worst),
        Some(worst) => Verdict::Go(worst),
        None => Verdict::Unreadable("no such series"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(value: f64) -> Sample {
        Sample { labels: [("job".to_owned(), value.to_string())].into(), value }
    }

    #[test]
    fn the_worst_series_decides() {
        assert_eq!(judge(vec![sample(0.01), sample(0.0)], 0.01), Verdict::Go(sample(0.01)));
        assert_eq!(judge(vec![sample(0.0), sample(0.02), sample(0.015)], 0.01), Verdict::Stop(sample(0.02)));
        assert_eq!(judge(vec![sample(f64::INFINITY)], 0.01), Verdict::Stop(sample(f64::INFINITY)));
    }

    #[test]
    fn what_cannot_be_read_is_no_go() {
        assert!(!judge(Vec::new(), 1.0).is_go());
        assert!(!judge(vec![sample(0.0), sample(f64::NAN)], 1.0).is_go());
    }
}
