//! Whether every expression of the dashboard answers with data.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::scaled;
use super::services::Services;
use crate::failure::Failure;
use crate::monitoring::dashboard::DASHBOARD;

/// The expressions of the panels, and whether they have answered with a series.
pub(super) struct Panels(BTreeMap<String, bool>);

impl Panels {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let text =
            fs::read_to_string(root.join(DASHBOARD)).map_err(Failure::during(format!("read {DASHBOARD}")))?;
        let whole: Value =
            serde_json::from_str(&text).map_err(Failure::during(format!("read {DASHBOARD}")))?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let targets = list(&whole["panels"]).into_iter().flat_map(|panel| list(&panel["targets"]));
        let expressions = targets.filter_map(|target| target["expr"].as_str().map(scaled::expression));
        Ok(Self(expressions.map(|expression| (expression, false)).collect()))
    }

    /// Asks for those that have not answered with a series yet.
    pub(super) fn ask(&mut self, services: &Services) -> Result<(), Failure> {
        for (expression, answered) in self.0.iter_mut().filter(|(_, answered)| !**answered) {
            let samples = services.prometheus.query(expression).map_err(|e| Failure::new(e.to_string()))?;
            *answered = samples.iter().any(|sample| !sample.value.is_nan());
        }
        Ok(())
    }

    /// Those that never did.
    pub(super) fn findings(&self) -> Vec<String> {
        let silent = self.0.iter().filter(|(_, answered)| !**answered);
        silent.map(|(expression, _)| format!("{DASHBOARD}: never any data: {expression}")).collect()
    }
}
