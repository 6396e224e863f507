//! What is asked, and how much is too much.

use std::time::Duration;

use crate::prometheus::promql;

/// A reason to stop the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Trigger {
    /// API 5xx above 1 %, all through the window.
    ApiErrors,
    /// API p95 more than 10 % above its baseline, all through the window.
    ApiLatency,
    /// More than 5 % of the projects that a backfill process has done within the last hour ended in error.
    BackfillErrors,
    /// More than 5 % of the projects of the last five minutes ended in error.
    BackfillErrorsNow,
    /// Database time per transaction more than 20 % above its baseline, all through the window.
    Database,
    /// An alert with `rollback_trigger="true"` is firing.
    Alerts,
}

/// How a value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A share: 0.01 is 1 %.
    Share,
    /// Times the baseline.
    TimesBaseline,
    /// A number of alerts.
    Count,
}

impl Unit {
    /// A value as a person reads it.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:.2}%", value * 100.0),
            Self::TimesBaseline => format!("{value:.2}x"),
            Self::Count => format!("{value}"),
        }
    }
}

impl Trigger {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::ApiErrors,
        Self::ApiLatency,
        Self::BackfillErrors,
        Self::BackfillErrorsNow,
        Self::Database,
        Self::Alerts,
    ];

    /// Its stable name, as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiErrors => "api-errors",
            Self::ApiLatency => "api-latency",
            Self::BackfillErrors => "backfill-errors",
            Self::BackfillErrorsNow => "backfill-errors-now",
            Self::Database => "database",
            Self::Alerts => "alerts",
        }
    }

    /// A value above this is a reason to stop.
    #[must_use]
    pub const fn limit(self) -> f64 {
        match self {
            Self::ApiErrors => 0.01,
            Self::ApiLatency => 1.1,
            Self::BackfillErrors | Self::BackfillErrorsNow => 0.05,
            Self::Database => 1.2,
            Self::Alerts => 0.0,
        }
    }

    /// How its value is to be read.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::ApiErrors | Self::BackfillErrors | Self::BackfillErrorsNow => Unit::Share,
            Self::ApiLatency | Self::Database => Unit::TimesBaseline,
            Self::Alerts => Unit::Count,
        }
    }

    /// The expression, over series that the rules record. The plan's "sustained" is the least value within
    /// `window`. Without enough traffic to judge, the value is 0, as in the alerts;
    /// without the series themselves, or without the baseline, there is none.
    #[must_use]
    pub fn query(self, window: Duration) -> String {
        let window = promql(window);
        let requests = "job:http_requests:rate5m";
        let p95 = "job:http_request_duration_seconds:p95";
        let processed =
            "sum without (status, project_type) (last_over_time(sti_backfill_processed_total[1h]))";
        let database = "datname:pg_stat_database_active_time_seconds_per_xacts";
        let xacts = "datname:pg_stat_database_xacts:rate5m";
        match self {
            Self::ApiErrors => format!(
                "min_over_time(job:http_requests_5xx_per_http_requests:ratio_rate5m[{window}]) and {requests} > 0.1 \
                 or 0 * ({requests} <= 0.1)"
            ),
            Self::ApiLatency => format!(
                "(min_over_time({p95}_rate5m[{window}]) and {requests} > 0.1 or 0 * ({requests} <= 0.1)) \
                 / on (job) group_left () {p95}_baseline"
            ),
            Self::BackfillErrors => format!(
                "last_over_time(instance:sti_backfill_errors_per_processed:ratio[1h]) and {processed} >= 20 \
                 or 0 * ({processed} < 20)"
            ),
            Self::BackfillErrorsNow => format!(
                "instance:sti_backfill_errors_per_processed:ratio_rate5m \
                 and sum without (status, project_type) (increase(sti_backfill_processed_total[5m])) >= 20 \
                 or 0 * {processed}"
            ),
            Self::Database => format!(
                "(min_over_time({database}:ratio_rate5m[{window}]) and {xacts} > 1 or 0 * ({xacts} <= 1)) \
                 / on (datname) group_left () {database}:baseline"
            ),
            Self::Alerts => {
                r#"count(ALERTS{alertstate="firing",rollback_trigger="true"}) or vector(0)"#.to_owned()
            }
        }
    }
}

impl std::fmt::Display for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
