//! Whether every expression of the dashboard answers with data.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::scaled;
use super::services::Services;
use crate::failure::Failure;
use crate::monitoring::dashboard::DASHBOARD;

/// The expressions of the panels.
pub(super) struct Panels(BTreeSet<String>);

impl Panels {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let text =
            fs::read_to_string(root.join(DASHBOARD)).map_err(Failure::during(format!("read {DASHBOARD}")))?;
        let whole: Value =
            serde_json::from_str(&text).map_err(Failure::during(format!("read {DASHBOARD}")))?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let targets = list(&whole["panels"]).into_iter().flat_map(|panel| list(&panel["targets"]));
        let expressions = targets.filter_map(|target| target["expr"].as_str().map(scaled::expression));
        Ok(Self(expressions.collect()))
    }

    /// Those that have had no data since `begun`. The last scrape may have been answered a moment ago, and a query
    /// looks at whole steps: asks again for a while.
    pub(super) fn findings(&self, begun: Instant, services: &Services) -> Result<Vec<String>, Failure> {
        let asked = Instant::now();
        loop {
            let silent = self.silent(begun.elapsed(), services)?;
            if silent.is_empty() || asked.elapsed() > PATIENCE {
                let findings = silent.iter().map(|panel| format!("{DASHBOARD}: never any data: {panel}"));
                return Ok(findings.collect());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Those that had no data at any moment of the `past`: what was there for a second only, as the end of a process
    /// that is gone by now, counts however late one asks.
    fn silent(&self, past: Duration, services: &Services) -> Result<Vec<&str>, Failure> {
        let past = past.as_secs() + 1;
        let mut silent = Vec::new();
        for expression in &self.0 {
            // Half of the time from scrape to scrape, so that none falls between two steps. NaN only if all are.
            let query = format!("max_over_time(({expression})[{past}s:500ms])");
            let samples = services.prometheus.query(&query).map_err(|e| Failure::new(e.to_string()))?;
            if samples.iter().all(|sample| sample.value.is_nan()) {
                silent.push(expression.as_str());
            }
        }
        Ok(silent)
    }
}
