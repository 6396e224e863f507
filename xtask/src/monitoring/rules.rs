//! The rules file, as far as promtool does not look: names, runbook entries, and whether the tests know every alert.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_yaml_ng::Value;

use super::expressions::Names;
use crate::failure::Failure;

pub(super) const RULES: &str = "docs/monitoring/rules.yml";
pub(super) const BASELINE: &str = "docs/monitoring/baseline.example.rules.yml";
const RUNBOOK: &str = "docs/monitoring/runbook.md";
const RUNBOOK_URL: &str = "https://github.com/oceanlearn/sti/blob/main/docs/monitoring/runbook.md";
pub(super) const TESTS: &str = "docs/monitoring/tests";

/// A rule: what it records, or the alert's name.
pub(super) struct Rule {
    pub(super) record: Option<String>,
    alert: Option<String>,
    expr: String,
    labels: Value,
    annotations: Value,
}

/// The rules of a file, in order.
pub(super) fn read(root: &Path, file: &str) -> Result<Vec<Rule>, Failure> {
    let text = fs::read_to_string(root.join(file)).map_err(Failure::during(format!("read {file}")))?;
    let whole: Value = serde_yaml_ng::from_str(&text).map_err(Failure::during(format!("read {file}")))?;
    let groups = whole["groups"].as_sequence().cloned().unwrap_or_default();
    let rules = groups.iter().flat_map(|group| group["rules"].as_sequence().cloned().unwrap_or_default());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(rules
        .map(|rule| Rule {
            record: text(&rule["record"]),
            alert: text(&rule["alert"]),
            expr: text(&rule["expr"]).unwrap_or_default(),
            labels: rule["labels"].clone(),
            annotations: rule["annotations"].clone(),
        })
        .collect())
}

/// What breaks a rule about the rules.
pub(super) fn check(root: &Path, rules: &[Rule], names: &Names) -> Result<Vec<String>, Failure> {
    let runbook =
        fs::read_to_string(root.join(RUNBOOK)).map_err(Failure::during(format!("read {RUNBOOK}")))?;
    let headings: BTreeSet<&str> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::trim).collect();
    let mut findings = Vec::new();
    let mut alerts = BTreeSet::new();
    for rule in rules {
        let name = rule.alert.as_ref().or(rule.record.as_ref());
        let name = name.map_or("a rule without a name", String::as_str);
        findings
            .extend(names.check(&rule.expr).into_iter().map(|finding| format!("{RULES}: {name}: {finding}")));
        if let Some(alert) = &rule.alert {
            alerts.insert(alert.as_str());
            findings.extend(
                check_alert(alert, rule).into_iter().map(|finding| format!("{RULES}: {alert}: {finding}")),
            );
        }
    }
    for alert in alerts.difference(&headings) {
        findings.push(format!("{RUNBOOK}: no entry for {alert}"));
    }
    for heading in headings.difference(&alerts) {
        findings.push(format!("{RUNBOOK}: {heading} is no alert"));
    }
    let told = tested(root)?;
    for alert in &alerts {
        for (fires, word) in [(true, "fires"), (false, "is silent")] {
            if !told.contains(&((*alert).to_owned(), fires)) {
                findings.push(format!("{TESTS}: no test where {alert} {word}"));
            }
        }
    }
    Ok(findings)
}

fn check_alert(alert: &str, rule: &Rule) -> Vec<String> {
    let mut findings = Vec::new();
    if !matches!(rule.labels["severity"].as_str(), Some("critical" | "warning")) {
        findings.push("severity is neither critical nor warning".to_owned());
    }
    let url = format!("{RUNBOOK_URL}#{}", alert.to_lowercase());
    if rule.annotations["runbook_url"].as_str() != Some(&url) {
        findings.push(format!("runbook_url is not {url}"));
    }
    for annotation in ["summary", "description"] {
        let text = rule.annotations[annotation].as_str().unwrap_or_default();
        if !text.ends_with(['.', ')']) {
            findings.push(format!("{annotation} is no sentence: {text:?}"));
        }
    }
    findings
}

/// Each alert that the promtool tests ask for, with whether they expect it to fire.
fn tested(root: &Path) -> Result<BTreeSet<(String, bool)>, Failure> {
    let mut told = BTreeSet::new();
    for file in test_files(root)? {
        let failed = |e: &dyn std::fmt::Display| Failure::new(format!("cannot read {}: {e}", file.display()));
        let text = fs::read_to_string(&file).map_err(|e| failed(&e))?;
        let whole: Value = serde_yaml_ng::from_str(&text).map_err(|e| failed(&e))?;
        let list = |value: &Value| value.as_sequence().cloned().unwrap_or_default();
        for test in list(&whole["tests"]) {
            for case in list(&test["alert_rule_test"]) {
                let fires = !list(&case["exp_alerts"]).is_empty();
                told.insert((case["alertname"].as_str().unwrap_or_default().to_owned(), fires));
            }
            for case in list(&test["promql_expr_test"]) {
                let expression = case["expr"].as_str().unwrap_or_default();
                let value = list(&case["exp_samples"]).first().and_then(|sample| sample["value"].as_f64());
                let fires = value.is_some_and(|value| value > 0.0);
                told.extend(alert_names(expression).map(|alert| (alert.to_owned(), fires)));
            }
        }
    }
    Ok(told)
}

/// The names in `ALERTS{alertname=~"A|B",alertstate="firing"}`.
fn alert_names(expression: &str) -> impl Iterator<Item = &str> {
    let names = expression.split_once("ALERTS{alertname=").and_then(|(_, rest)| rest.split('"').nth(1));
    names.into_iter().flat_map(|names| names.split('|'))
}

/// The promtool tests.
pub(super) fn test_files(root: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let folder = root.join(TESTS);
    let entries = fs::read_dir(&folder).map_err(Failure::during(format!("read {TESTS}")))?;
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with(".test.yml")).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_test_are_found() {
        let names = |expression| alert_names(expression).collect::<Vec<_>>();
        assert_eq!(names(r#"count(ALERTS{alertname=~"A|B",alertstate="firing"}) or vector(0)"#), ["A", "B"]);
        assert_eq!(names(r#"count(ALERTS{alertname="A",alertstate="firing"})"#), ["A"]);
        assert!(names("count(x)").is_empty());
    }

    #[test]
    fn an_alert_without_its_words_is_found() {
        let rule = Rule {
            record: None,
            alert: Some("A".to_owned()),
            expr: String::new(),
            labels: Value::Null,
            annotations: Value::Null,
        };
        assert_eq!(check_alert("A", &rule).len(), 4);
    }
}
