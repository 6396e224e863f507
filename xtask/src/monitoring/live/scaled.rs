//! The shipped files at sixty times the speed: a minute becomes a second, and nothing else is changed.

use crate::failure::Failure;

/// Every time in rules.yml.
const RULES: [(&str, &str); 11] = [
    ("[5m]", "[5s]"),
    ("[10m]", "[10s]"),
    ("[1h]", "[60s]"),
    ("for: 1m", "for: 1s"),
    ("for: 2m", "for: 2s"),
    ("for: 5m", "for: 5s"),
    ("for: 10m", "for: 10s"),
    ("for: 30m", "for: 30s"),
    ("< 600", "< 10"),
    ("> 120", "> 2"),
    ("< 3600", "< 60"),
];

/// The rules; a failure if a time is new there, or gone.
pub(super) fn rules(text: &str) -> Result<String, Failure> {
    let scaled = replaced(text, &RULES)?;
    let expressions = scaled.lines().filter(|line| !line.trim_start().starts_with('#'));
    for line in expressions {
        if ["m]", "h]", "d]"].iter().any(|unit| line.contains(unit)) {
            return Err(Failure::new(format!("no scale for the time in {line:?}")));
        }
    }
    Ok(scaled)
}

/// Alertmanager's configuration, with the webhook at `port`.
pub(super) fn alertmanager(text: &str, port: u16) -> Result<String, Failure> {
    let scaled = replaced(
        text,
        &[("group_wait: 10s", "group_wait: 0s"), ("group_interval: 1m", "group_interval: 1s")],
    )?;
    replaced(&scaled, &[("127.0.0.1:9095", &format!("127.0.0.1:{port}"))])
}

/// An expression of the dashboard, with its variables filled in.
pub(super) fn expression(text: &str) -> String {
    RULES
        .iter()
        .fold(text.replace("$job", ".+").replace("$datname", ".+"), |text, (from, to)| text.replace(from, to))
}

fn replaced(text: &str, scale: &[(&str, &str)]) -> Result<String, Failure> {
    let mut text = text.to_owned();
    for (from, to) in scale {
        if !text.contains(from) {
            return Err(Failure::new(format!("there is no {from:?} any more: the scale is stale")));
        }
        text = text.replace(from, to);
    }
    Ok(text)
}
