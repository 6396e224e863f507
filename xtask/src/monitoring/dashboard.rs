//! The Grafana dashboard: against Grafana's own schema, and by rules that the schema has no word for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::expressions::Names;
use crate::failure::Failure;

pub(super) const DASHBOARD: &str = "docs/monitoring/dashboard.json";

/// The type `Dashboard` of the npm package @grafana/schema.
const SCHEMA: &str = include_str!("../../data/grafana-dashboard.schema.json");

/// What breaks a rule.
pub(super) fn check(root: &Path, names: &Names) -> Result<Vec<String>, Failure> {
    let text =
        fs::read_to_string(root.join(DASHBOARD)).map_err(Failure::during(format!("read {DASHBOARD}")))?;
    let dashboard = serde_json::from_str(&text).map_err(Failure::during(format!("read {DASHBOARD}")))?;
    let findings = check_value(&dashboard, names)?;
    Ok(findings.into_iter().map(|finding| format!("{DASHBOARD}: {finding}")).collect())
}

fn check_value(dashboard: &Value, names: &Names) -> Result<Vec<String>, Failure> {
    // The wrapper is for Grafana's HTTP API; provisioning reads the bare dashboard.
    if dashboard.get("dashboard").is_some() {
        return Ok(vec!["it is wrapped in {\"dashboard\": …}".to_owned()]);
    }
    let schema: Value = serde_json::from_str(SCHEMA).map_err(Failure::during("read Grafana's schema"))?;
    let schema = jsonschema::validator_for(&schema).map_err(Failure::during("read Grafana's schema"))?;
    let mut findings: Vec<String> = schema
        .iter_errors(dashboard)
        .map(|error| format!("{}: {error}", error.instance_path()).chars().take(300).collect())
        .collect();
    if text(dashboard, "uid").is_empty() {
        findings.push("no uid".to_owned());
    }
    findings.extend(check_panels(dashboard, names));
    findings.extend(check_variables(dashboard));
    for annotation in list(&dashboard["annotations"]["list"]) {
        findings.extend(names.check(text(&annotation["target"], "expr")));
    }
    Ok(findings)
}

fn check_panels(dashboard: &Value, names: &Names) -> Vec<String> {
    let mut findings = Vec::new();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        let title = text(panel, "title");
        let mut say = |finding: &str| findings.push(format!("panel {title:?}: {finding}"));
        if !ids.insert(panel["id"].as_i64()) {
            say("its id is another panel's as well");
        }
        if title.is_empty() {
            say("no title");
        }
        let grid = |key: &str| panel["gridPos"][key].as_i64().unwrap_or(-1);
        let (x, y, width, height) = (grid("x"), grid("y"), grid("w"), grid("h"));
        if x < 0 || width < 1 || x + width > 24 {
            say("it is not in the 24 columns");
        }
        let cells = (x..x + width).flat_map(|column| (y..y + height).map(move |line| (column, line)));
        if cells.filter(|cell| !taken.insert(*cell)).count() > 0 {
            say("it lies over another panel");
        }
        if panel["type"] != "row" {
            check_panel(panel, names, &mut say);
        }
    }
    findings
}

fn check_panel(panel: &Value, names: &Names, say: &mut dyn FnMut(&str)) {
    if panel["type"] == "graph" {
        say("the type graph is no more");
    }
    if text(panel, "description").is_empty() {
        say("no description");
    }
    if text(&panel["fieldConfig"]["defaults"], "unit").is_empty() {
        say("no unit");
    }
    let mut refs = BTreeSet::new();
    let targets = list(&panel["targets"]);
    if targets.is_empty() {
        say("no query");
    }
    for target in std::iter::once(panel).chain(targets) {
        if target["datasource"]["uid"] != "${datasource}" {
            say("its data source is not the variable");
        }
    }
    for target in targets {
        if !refs.insert(text(target, "refId")) {
            say("a refId comes twice");
        }
        let expression = text(target, "expr");
        if expression.is_empty() {
            say("a query without an expression");
        } else {
            names.check(expression).iter().for_each(|finding| say(finding));
        }
        if !text(panel, "title").starts_with("Totals") {
            for counter in names.raw_counters(expression) {
                say(&format!("{counter} is a counter: show its rate, or call the panel Totals"));
            }
        }
    }
}

fn check_variables(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].to_string();
    let mut findings = Vec::new();
    let variables = list(&dashboard["templating"]["list"]);
    for name in variables.iter().map(|variable| text(variable, "name")) {
        if !panels.contains(&format!("${name}")) && !panels.contains(&format!("${{{name}}}")) {
            findings.push(format!("no panel uses the variable {name}"));
        }
    }
    if !variables.iter().any(|variable| variable["type"] == "datasource") {
        findings.push("no variable for the data source".to_owned());
    }
    findings
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A small dashboard that is fine.
    fn fine() -> Value {
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        json!({
            "uid": "a", "title": "a", "schemaVersion": 39,
            "templating": {"list": [{"type": "datasource", "name": "datasource", "query": "prometheus"}]},
            "panels": [{
                "type": "stat", "id": 1, "title": "Running", "description": "A panel.", "datasource": source,
                "gridPos": {"x": 0, "y": 0, "w": 12, "h": 4},
                "targets": [{"refId": "A", "datasource": source, "expr": "sti_backfill_running"}],
                "fieldConfig": {"defaults": {"unit": "short"}, "overrides": []},
            }],
        })
    }

    fn findings(dashboard: &Value) -> Vec<String> {
        check_value(dashboard, &Names::new(Vec::new())).unwrap()
    }

    #[test]
    fn a_fine_one_has_none() {
        assert_eq!(findings(&fine()), [""; 0]);
    }

    #[test]
    fn every_fault_is_found() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut dashboard = fine();
            change(&mut dashboard);
            findings(&dashboard).join("\n")
        };
        let panel = |change: &dyn Fn(&mut Value)| with(&|dashboard| change(&mut dashboard["panels"][0]));
        assert!(findings(&json!({"dashboard": fine()}))[0].contains("wrapped"));
        assert!(with(&|d| d["uid"] = json!("")).contains("no uid"));
        assert!(with(&|d| d["title"] = json!(1)).contains("/title"));
        assert!(with(&|d| d["colour"] = json!(1)).contains("colour"));
        assert!(with(&|d| d["templating"]["list"][0]["name"] = json!("unused")).contains("no panel uses"));
        assert!(panel(&|p| p["gridPos"]["x"] = json!(13)).contains("24 columns"));
        assert!(panel(&|p| p["gridPos"]["x"] = json!("0")).contains("/panels/0"));
        assert!(panel(&|p| p["type"] = json!("graph")).contains("graph is no more"));
        assert!(panel(&|p| p["description"] = json!("")).contains("no description"));
        assert!(panel(&|p| p["fieldConfig"]["defaults"]["unit"] = json!("")).contains("no unit"));
        assert!(panel(&|p| p["datasource"]["uid"] = json!("x")).contains("is not the variable"));
        assert!(panel(&|p| p["targets"] = json!([])).contains("no query"));
        assert!(panel(&|p| p["targets"][0]["expr"] = json!("")).contains("without an expression"));
        assert!(panel(&|p| p["targets"][0]["expr"] = json!("sti_x")).contains("neither in the catalogue"));
        assert!(panel(&|p| p["targets"][0]["expr"] = json!("http_requests_total")).contains("is a counter"));
        let twice = |d: &mut Value| {
            let panel = d["panels"][0].clone();
            d["panels"].as_array_mut().unwrap().push(panel);
        };
        let twice = with(&twice);
        assert!(twice.contains("another panel's as well") && twice.contains("over another"), "{twice}");
    }
}
