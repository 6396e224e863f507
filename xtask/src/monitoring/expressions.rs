//! PromQL expressions, held against the catalogue: every metric, label and value that they name exists.

use std::collections::BTreeMap;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use sti_core::metrics::{Label, MetricKind, Values, catalogue};

/// Labels that a scrape adds, or an external label: any series may have them.
const OF_TARGETS: [&str; 3] = ["job", "instance", "environment"];

/// The names that an expression may use.
pub(super) struct Names {
    metrics: BTreeMap<String, (MetricKind, &'static [Label])>,
    recorded: Vec<String>,
}

impl Names {
    /// The catalogue, and what the rules record.
    pub(super) fn new(recorded: Vec<String>) -> Self {
        let mut metrics = BTreeMap::new();
        for metric in catalogue() {
            if matches!(metric.kind, MetricKind::Histogram(_)) {
                for part in ["_bucket", "_sum", "_count"] {
                    metrics.insert(format!("{}{part}", metric.name), (metric.kind, metric.labels));
                }
            } else {
                metrics.insert(metric.name.to_owned(), (metric.kind, metric.labels));
            }
        }
        Self { metrics, recorded }
    }

    /// What is wrong with an expression.
    pub(super) fn check(&self, expression: &str) -> Vec<String> {
        match read(expression) {
            Ok(used) => self.check_used(&used),
            Err(finding) => vec![finding],
        }
    }

    fn check_used(&self, used: &Used) -> Vec<String> {
        let mut findings = Vec::new();
        for selector in &used.selectors {
            let Some(name) = &selector.name else {
                findings.push("a selector without a metric's name".to_owned());
                continue;
            };
            if self.recorded.contains(name) {
                continue;
            }
            match self.metrics.get(name) {
                None => findings.push(format!("{name} is neither in the catalogue nor recorded")),
                Some((kind, labels)) => {
                    let matchers = &selector.matchers.matchers;
                    findings.extend(
                        matchers.iter().filter_map(|matcher| check_matcher(name, *kind, labels, matcher)),
                    );
                }
            }
        }
        let any =
            |label: &str| self.metrics.values().any(|(_, labels)| labels.iter().any(|l| l.name == label));
        for label in &used.labels {
            if !any(label) && !is_general(label) {
                findings.push(format!("no metric has the label {label}"));
            }
        }
        findings
    }

    /// The counters that an expression reads raw, not as a rate.
    pub(super) fn raw_counters(&self, expression: &str) -> Vec<String> {
        let Ok(used) = read(expression) else { return Vec::new() };
        let raw = used.instant.into_iter().filter(|name| {
            self.metrics
                .get(name)
                .is_some_and(|(kind, _)| matches!(kind, MetricKind::Counter | MetricKind::Histogram(_)))
        });
        raw.collect()
    }
}

fn is_general(label: &str) -> bool {
    label == "le" || OF_TARGETS.contains(&label)
}

fn check_matcher(name: &str, kind: MetricKind, labels: &[Label], matcher: &Matcher) -> Option<String> {
    let Some(label) = labels.iter().find(|label| label.name == matcher.name) else {
        let le = matcher.name == "le" && matches!(kind, MetricKind::Histogram(_));
        let known = le || OF_TARGETS.contains(&matcher.name.as_str());
        return (!known).then(|| format!("{name} has no label {}", matcher.name));
    };
    match (label.values, &matcher.op) {
        (Values::Of(values), MatchOp::Equal | MatchOp::NotEqual)
            if !values.contains(&matcher.value.as_str()) =>
        {
            Some(format!("{name}: {} is never {:?}", label.name, matcher.value))
        }
        _ => None,
    }
}

/// What an expression names.
#[derive(Default)]
struct Used {
    selectors: Vec<VectorSelector>,
    /// Metrics that are read as they are now, not over a range.
    instant: Vec<String>,
    /// Labels of `by`, `without`, `on`, `ignoring` and `group_left`.
    labels: Vec<String>,
}

impl ExprVisitor for Used {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => {
                self.instant.extend(selector.name.clone());
                self.selectors.push(selector.clone());
            }
            Expr::MatrixSelector(selector) => self.selectors.push(selector.vs.clone()),
            Expr::Aggregate(aggregate) => self.take(aggregate.modifier.as_ref()),
            Expr::Binary(binary) => {
                if let Some(modifier) = &binary.modifier {
                    self.take(modifier.matching.as_ref());
                    let group = modifier.card.labels();
                    self.labels.extend(group.into_iter().flat_map(|labels| labels.labels.iter().cloned()));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

impl Used {
    fn take(&mut self, modifier: Option<&LabelModifier>) {
        let labels = modifier.into_iter().flat_map(|modifier| modifier.labels().labels.iter().cloned());
        self.labels.extend(labels);
    }
}

fn read(expression: &str) -> Result<Used, String> {
    let parsed = parser::parse(expression).map_err(|error| format!("no PromQL: {error}"))?;
    let mut used = Used::default();
    walk_expr(&mut used, &parsed)?;
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_found() {
        let names = Names::new(vec!["job:x:rate5m".to_owned()]);
        for (expression, findings) in [
            ("sum(rate(sti_backfill_processed_total{status=\"error\"}[5m]))", &[][..]),
            ("job:x:rate5m / 2", &[]),
            ("rate(http_request_duration_seconds_bucket{le=\"0.1\"}[5m])", &[]),
            ("sti_backfill_total", &["sti_backfill_total is neither in the catalogue nor recorded"]),
            (
                "http_request_duration_seconds",
                &["http_request_duration_seconds is neither in the catalogue nor recorded"],
            ),
            (
                "sti_backfill_processed_total{environment=\"a\",colour=\"b\"}",
                &["sti_backfill_processed_total has no label colour"],
            ),
            (
                "sti_backfill_processed_total{status=\"failed\"}",
                &["sti_backfill_processed_total: status is never \"failed\""],
            ),
            ("sum by (colour) (job:x:rate5m)", &["no metric has the label colour"]),
            ("job:x:rate5m and on (colour) job:x:rate5m", &["no metric has the label colour"]),
            ("{job=\"a\"}", &["a selector without a metric's name"]),
        ] {
            assert_eq!(names.check(expression), findings, "{expression}");
        }
        assert_eq!(names.check("rate(").len(), 1);
    }

    #[test]
    fn a_raw_counter_is_told_from_a_rate() {
        let names = Names::new(Vec::new());
        let raw = |expression| names.raw_counters(expression);
        assert_eq!(raw("sum(http_requests_total)"), ["http_requests_total"]);
        assert!(raw("sum(rate(http_requests_total[5m])) + sti_backfill_running").is_empty());
    }
}
