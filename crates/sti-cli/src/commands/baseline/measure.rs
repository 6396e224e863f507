//! The figures of a baseline.

use std::time::Duration;

use sti_cli::Failure;
use sti_cli::prometheus::{Prometheus, Sample, promql};

/// What is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The API's p95, by job.
    ApiP95,
    /// The database's time per transaction, by database.
    TimePerTransaction,
}

/// One figure, in seconds.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    pub(super) subject: Subject,
    /// The job, or the database.
    pub(super) of: String,
    pub(super) seconds: f64,
}

impl Subject {
    const ALL: [Self; 2] = [Self::ApiP95, Self::TimePerTransaction];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ApiP95 => "API p95",
            Self::TimePerTransaction => "database time per transaction",
        }
    }

    /// The label that tells one figure from another.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::ApiP95 => "job",
            Self::TimePerTransaction => "datname",
        }
    }

    /// What the rules record now.
    const fn measured(self) -> &'static str {
        match self {
            Self::ApiP95 => "job:http_request_duration_seconds:p95_rate5m",
            Self::TimePerTransaction => "datname:pg_stat_database_active_time_seconds_per_xacts:ratio_rate5m",
        }
    }

    /// What the alerts compare with.
    pub(super) const fn recorded(self) -> &'static str {
        match self {
            Self::ApiP95 => "job:http_request_duration_seconds:p95_baseline",
            Self::TimePerTransaction => "datname:pg_stat_database_active_time_seconds_per_xacts:baseline",
        }
    }

    /// Above this many times the baseline is a rollback trigger.
    pub(super) const fn limit(self) -> f64 {
        match self {
            Self::ApiP95 => 1.1,
            Self::TimePerTransaction => 1.2,
        }
    }
}

/// Measures both subjects over the last `over`.
pub(super) fn measure(prometheus: &Prometheus, over: Duration) -> Result<Vec<Baseline>, Failure> {
    refuse_in_the_middle(prometheus)?;
    let mut baselines = Vec::new();
    for subject in Subject::ALL {
        baselines.extend(figures(prometheus, subject, over)?);
    }
    Ok(baselines)
}

fn refuse_in_the_middle(prometheus: &Prometheus) -> Result<(), Failure> {
    for (query, what) in [
        ("sti_backfill_running == 1", "a backfill runs"),
        (r#"ALERTS{alertstate="firing",rollback_trigger="true"}"#, "a rollback trigger fires"),
    ] {
        if let Some(sample) = prometheus.query(query)?.first() {
            return Err(Failure::refused(format_args!(
                "refused: {what} ({sample}), and a baseline of now would hide what it does. Nothing was written"
            )));
        }
    }
    Ok(())
}

fn figures(prometheus: &Prometheus, subject: Subject, over: Duration) -> Result<Vec<Baseline>, Failure> {
    let (measured, range) = (subject.measured(), promql(over));
    // Only what was there at the beginning: an average over less is another one than was asked for.
    let query = format!("avg_over_time({measured}[{range}]) and {measured} offset {range}");
    let samples = prometheus.query(&query)?;
    if samples.is_empty() {
        return Err(Failure::refused(format_args!(
            "refused: no {} over the last {range} ({measured}). Are docs/monitoring/rules.yml loaded, since that long, \
             and is there traffic? Nothing was written",
            subject.name()
        )));
    }
    let mut figures: Vec<Baseline> = Vec::new();
    for sample in samples {
        let figure = figure(subject, &sample)?;
        if figures.iter().any(|other| other.of == figure.of) {
            return Err(Failure::refused(format_args!(
                "refused: there are several {} of {}={:?}, as of {sample}, and one baseline cannot be that of all of them",
                subject.name(),
                subject.label(),
                figure.of,
            )));
        }
        figures.push(figure);
    }
    Ok(figures)
}

fn figure(subject: Subject, sample: &Sample) -> Result<Baseline, Failure> {
    let of = sample.labels.get(subject.label()).cloned().unwrap_or_default();
    if sample.value.is_finite() && sample.value > 0.0 {
        return Ok(Baseline { subject, of, seconds: sample.value });
    }
    Err(Failure::refused(format_args!(
        "refused: the {} of {sample} is {}, which nothing can be compared with: wait for ordinary traffic",
        subject.name(),
        sample.value
    )))
}
