//! The metrics of others that our rules and our dashboard read.

use super::metric::{Emitter, Label, Metric, MetricKind, MetricUnit, Values};
use Emitter::{Api, NodeExporter, PostgresExporter, Prometheus, Pushgateway};
use MetricKind::{Counter, Gauge, Untyped};
use MetricUnit::{Count, Flag, Milliseconds, Seconds, UnixTime};

const fn free(name: &'static str, what: &'static str) -> Label {
    Label { name, values: Values::Free(what) }
}

const METHOD: Label = free("method", "the HTTP method");
const ENDPOINT: Label = free("endpoint", "the route, not the path");
const HTTP_STATUS: Label = free("status", "the HTTP status code");
const DATNAME: Label = free("datname", "the database");
const DATID: Label = free("datid", "the database's oid");
const SERVER: Label = free("server", "host and port");

const fn metric(
    emitter: Emitter,
    name: &'static str,
    kind: MetricKind,
    unit: MetricUnit,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, help, emitter }
}

/// What the API, postgres_exporter (0.11 and later), Pushgateway, node_exporter and Prometheus emit, as far as it is
/// used.
pub const FOREIGN: &[Metric] = &[
    metric(Api, "http_requests_total", Counter, Count, &[METHOD, ENDPOINT, HTTP_STATUS], "Requests answered"),
    metric(
        Api,
        "http_request_duration_seconds",
        MetricKind::Histogram(&[]),
        Seconds,
        &[METHOD, ENDPOINT, HTTP_STATUS],
        "Time per request; around the expected p95 the buckets must lie at most 10% apart",
    ),
    metric(PostgresExporter, "pg_up", Gauge, Flag, &[], "Whether the exporter reaches the server"),
    metric(
        PostgresExporter,
        "pg_stat_activity_count",
        Gauge,
        Count,
        &[DATNAME, free("state", "active, idle, idle in transaction, and others"), SERVER],
        "Connections; later versions have more labels, so it must be summed",
    ),
    metric(
        PostgresExporter,
        "pg_stat_activity_max_tx_duration",
        Gauge,
        Seconds,
        &[DATNAME, free("state", "active, idle, idle in transaction, and others"), SERVER],
        "Age of the oldest transaction",
    ),
    metric(
        PostgresExporter,
        "pg_stat_database_tup_fetched",
        Counter,
        Count,
        &[DATID, DATNAME, SERVER],
        "Rows fetched by index scans: volume, not slowness",
    ),
    metric(
        PostgresExporter,
        "pg_stat_database_xact_commit",
        Counter,
        Count,
        &[DATID, DATNAME, SERVER],
        "Transactions committed",
    ),
    metric(
        PostgresExporter,
        "pg_stat_database_xact_rollback",
        Counter,
        Count,
        &[DATID, DATNAME, SERVER],
        "Transactions rolled back",
    ),
    metric(
        PostgresExporter,
        "pg_stat_database_active_time",
        Untyped,
        Milliseconds,
        &[DATID, DATNAME, SERVER],
        "Time spent executing statements, up to 0.15 of the exporter",
    ),
    metric(
        PostgresExporter,
        "pg_stat_database_active_time_seconds_total",
        Counter,
        Seconds,
        &[DATID, DATNAME, SERVER],
        "Time spent executing statements, from 0.16 of the exporter on",
    ),
    metric(Pushgateway, "push_time_seconds", Gauge, UnixTime, &[], "When a group was last pushed"),
    metric(
        NodeExporter,
        "node_textfile_mtime_seconds",
        Gauge,
        UnixTime,
        &[free("file", "the path of the text file")],
        "When a text file was last written",
    ),
    metric(
        Prometheus,
        "ALERTS",
        Gauge,
        Flag,
        &[
            free("alertname", "the alert"),
            Label { name: "alertstate", values: Values::Of(&["pending", "firing"]) },
            free("severity", "critical or warning, from the rules"),
            free("rollback_trigger", "true on the rollout plan's triggers, from the rules"),
            free("window", "5m or run, from the rules"),
        ],
        "1 for each alert that is pending or firing",
    ),
];
