//! docs/monitoring/metrics.md, written from the catalogue.

use std::fmt::Write as _;

use sti_core::metrics::{BACKFILL, COMMAND, DROP, FOREIGN, Metric, MetricKind, VERIFICATION, Values};

/// Where it is.
pub(super) const PATH: &str = "docs/monitoring/metrics.md";

const HEAD: &str = "\
# Metrics

Written from the catalogue in `crates/sti-core/src/metrics/catalogue.rs` by `cargo xtask monitoring --write`; the test
`metrics_md_is_the_catalogue` compares. Rules and dashboard may name these metrics and labels and no others.

Counters count what *this process* committed and begin at 0 in each process; every pair of labels is there from the
start. Gauges named `run` hold what the ledger says about the whole run, whoever did it: read at the start, every five
seconds and at the end. Run ids, hosts and project ids are never labels: the log has them.
";

/// The page.
pub(super) fn render() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Every command", COMMAND.iter().copied());
    section(&mut page, "`sti backfill`", BACKFILL.iter().copied());
    section(&mut page, "`sti-verify`", VERIFICATION.iter().copied());
    section(&mut page, "`sti-migrate drop-legacy`", DROP.iter().copied());
    page += "\n## Of others\n\nWhat rules and dashboard read beside ours. The first two are the rollout plan's names for \
             what the API\nemits: look whether they are there before the rollout.\n";
    FOREIGN.iter().for_each(|metric| entry(&mut page, metric));
    page
}

fn section<'m>(page: &mut String, title: &str, metrics: impl Iterator<Item = &'m Metric>) {
    let _ = write!(page, "\n## {title}\n");
    metrics.for_each(|metric| entry(page, metric));
}

fn entry(page: &mut String, metric: &Metric) {
    let Metric { name, kind, unit, help, emitter, .. } = metric;
    let _ = write!(page, "\n### {name}\n\n{help}.\n\n");
    let _ = writeln!(page, "- {}, {}; from {}", kind.as_str(), unit.as_str(), emitter.as_str());
    if let MetricKind::Histogram(buckets) = kind
        && !buckets.is_empty()
    {
        let bounds: Vec<String> = buckets.iter().map(f64::to_string).collect();
        let _ = writeln!(page, "- buckets: {}", bounds.join(", "));
    }
    for label in metric.labels {
        let _ = match label.values {
            Values::Of(values) => {
                // One of twelve would make a line that nobody reads.
                let lines: Vec<String> =
                    values.chunks(6).map(|some| format!("`{}`", some.join("`, `"))).collect();
                writeln!(page, "- `{}`: {}", label.name, lines.join(",\n  "))
            }
            Values::Free(what) => writeln!(page, "- `{}`: {what}", label.name),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::workspace;

    #[test]
    fn metrics_md_is_the_catalogue() {
        let there = std::fs::read_to_string(workspace().join(PATH)).unwrap();
        assert!(there == render(), "{PATH} is not what the catalogue says: cargo xtask monitoring --write");
    }
}
