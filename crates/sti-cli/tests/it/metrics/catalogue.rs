//! Holds a rendering against the catalogue.

use std::collections::BTreeSet;

use sti_core::metrics::{BACKFILL, COMMAND, Metric, MetricKind, Values, ours};

/// Checks that `text` names no metric, label or value that is not in the catalogue, with the kind and the help of the
/// catalogue, and leaves nothing of a whole run out.
pub(super) fn check(text: &str) {
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => assert_eq!(metric(name).help, help),
            ["#", "TYPE", name, kind] => assert_eq!(metric(name).kind.as_str(), kind),
            _ => {
                let series = line.rsplit_once(' ').unwrap().0;
                seen.insert(check_series(series));
            }
        }
    }
    for metric in COMMAND.iter().chain(BACKFILL) {
        assert!(seen.contains(metric.name), "{} is not in\n{text}", metric.name);
    }
}

fn metric(name: &str) -> &'static Metric {
    ours().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name} is not in the catalogue"))
}

fn check_series(series: &str) -> &'static str {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| {
        let base = name.strip_suffix(part)?;
        ours().find(|metric| metric.name == base && matches!(metric.kind, MetricKind::Histogram(_)))
    });
    let metric = base.unwrap_or_else(|| metric(name));
    let labels: Vec<(&str, &str)> = labels
        .trim_end_matches('}')
        .split(',')
        .filter_map(|label| label.split_once('='))
        .filter(|(name, _)| base.is_none() || *name != "le")
        .collect();
    let names =
        |labels: &[(&str, &str)]| labels.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&labels), metric.labels.iter().map(|label| label.name).collect::<Vec<_>>(), "{series}");
    for ((_, value), label) in labels.iter().zip(metric.labels) {
        if let Values::Of(values) = label.values {
            assert!(values.contains(&value.trim_matches('"')), "{series}");
        }
    }
    metric.name
}
