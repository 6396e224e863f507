//! What is known about one metric.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// A metric: everything that documentation, rules and dashboards need to know about it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, as Prometheus has it.
    pub name: &'static str,
    /// What kind of series it makes.
    pub kind: MetricKind,
    /// What its value counts or measures.
    pub unit: MetricUnit,
    /// Its labels, all of them present on every series, in the order in which they are written.
    pub labels: &'static [Label],
    /// One sentence without a full stop, as in `# HELP`.
    pub help: &'static str,
    /// Who emits it.
    pub emitter: Emitter,
}

/// What kind of series a metric makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// Only grows, and begins at 0 in each process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets, with these upper bounds.
    Histogram(&'static [f64]),
    /// Foreign and undeclared: the exporter does not say.
    Untyped,
}

impl MetricKind {
    /// As Prometheus calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
            Self::Untyped => "untyped",
        }
    }
}

/// What a value counts or measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// Things: projects, chunks, connections.
    Count,
    /// Seconds.
    Seconds,
    /// Milliseconds, which only a foreign exporter does.
    Milliseconds,
    /// Seconds since 1970.
    UnixTime,
    /// 1 or 0; or 1 where the labels say it all.
    Flag,
}

impl MetricUnit {
    /// For documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::UnixTime => "Unix time in seconds",
            Self::Flag => "0 or 1",
        }
    }
}

/// Who emits a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitter {
    /// This crate.
    Sti,
    /// The application's API. The rollout plan names these; whether they are there must be looked at before a rollout.
    Api,
    /// postgres_exporter.
    PostgresExporter,
    /// Pushgateway.
    Pushgateway,
    /// node_exporter's textfile collector.
    NodeExporter,
    /// Prometheus itself.
    Prometheus,
}

impl Emitter {
    /// For documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sti => "sti",
            Self::Api => "the application's API",
            Self::PostgresExporter => "postgres_exporter",
            Self::Pushgateway => "Pushgateway",
            Self::NodeExporter => "node_exporter",
            Self::Prometheus => "Prometheus",
        }
    }
}

/// A label of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub values: Values,
}

/// What a label may hold.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these.
    Of(&'static [&'static str]),
    /// Anything; few values all the same. The text says what.
    Free(&'static str),
}

impl Metric {
    /// Tells the recorder kind, unit and help.
    pub(super) fn describe(&self) {
        let unit = match self.unit {
            MetricUnit::Count | MetricUnit::Flag => Unit::Count,
            MetricUnit::Seconds | MetricUnit::UnixTime => Unit::Seconds,
            MetricUnit::Milliseconds => Unit::Milliseconds,
        };
        match self.kind {
            MetricKind::Counter => describe_counter!(self.name, unit, self.help),
            MetricKind::Gauge | MetricKind::Untyped => describe_gauge!(self.name, unit, self.help),
            MetricKind::Histogram(_) => describe_histogram!(self.name, unit, self.help),
        }
    }
}
