//! The report of the gate.

use std::collections::BTreeMap;

use serde::Serialize;
use sti_cli::gate::{Reading, Trigger, Unit, Verdict};
use sti_cli::prometheus::Sample;
use sti_cli::{Document, Report, Table};
use url::Url;

pub(super) struct GateReport<'a> {
    prometheus: &'a Url,
    left_out: &'a [Trigger],
    readings: &'a [Reading],
}

impl<'a> GateReport<'a> {
    pub(super) fn new(prometheus: &'a Url, left_out: &'a [Trigger], readings: &'a [Reading]) -> Self {
        Self { prometheus, left_out, readings }
    }

    pub(super) fn is_go(&self) -> bool {
        self.readings.iter().all(|reading| reading.verdict.is_go())
    }

    fn headline(&self) -> String {
        let stops: Vec<&str> =
            self.readings.iter().filter(|reading| !reading.verdict.is_go()).map(name).collect();
        match &stops[..] {
            [] => "Go: every trigger is within its limit.".to_owned(),
            names => format!("Stop: {}.", names.join(", ")),
        }
    }
}

fn name(reading: &Reading) -> &'static str {
    reading.trigger.as_str()
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{:.2}%", value * 100.0),
        Unit::TimesBaseline => format!("{value:.2}x"),
        Unit::Count => format!("{value}"),
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Go(_) => "go",
        Verdict::Stop(_) => "stop",
        Verdict::Unreadable(_) => "unreadable",
    }
}

fn sample(verdict: &Verdict) -> Option<&Sample> {
    match verdict {
        Verdict::Go(sample) | Verdict::Stop(sample) => Some(sample),
        Verdict::Unreadable(_) => None,
    }
}

fn reason(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Unreadable(reason) => Some(reason),
        _ => None,
    }
}

impl Report for GateReport<'_> {
    fn document(&self) -> Document {
        let mut table = Table::new(["trigger", "answer", "value", "limit", "of"]);
        for Reading { trigger, verdict, .. } in self.readings {
            let sample = sample(verdict);
            table = table.row([
                trigger.to_string(),
                word(verdict).to_owned(),
                sample.map_or_else(|| "-".to_owned(), |sample| shown(sample.value, trigger.unit())),
                shown(trigger.limit(), trigger.unit()),
                sample.map_or_else(|| reason(verdict).unwrap_or_default().to_owned(), Sample::to_string),
            ]);
        }
        for trigger in self.left_out {
            table =
                table.row([trigger.as_str(), "left out", "-", &shown(trigger.limit(), trigger.unit()), ""]);
        }
        let document = Document::new().paragraph(self.headline()).table(table);
        let queries = self.readings.iter().map(|reading| format!("{}: {}", reading.trigger, reading.query));
        let document = document.paragraph("What was asked:").list(queries);
        let unreadable =
            self.readings.iter().any(|reading| matches!(reading.verdict, Verdict::Unreadable(_)));
        let document = if unreadable {
            document.paragraph(
                "A value that cannot be read is a reason to stop: are the API, postgres_exporter and the backfill \
                 scraped, are docs/monitoring/rules.yml and the baseline loaded?",
            )
        } else {
            document
        };
        if self.is_go() {
            document
        } else {
            document.paragraph("What to do about each trigger: docs/monitoring/runbook.md.")
        }
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let triggers = self.readings.iter().map(|reading| {
            let sample = sample(&reading.verdict);
            TriggerJson {
                name: reading.trigger.as_str(),
                answer: word(&reading.verdict),
                value: sample.map(|sample| sample.value),
                limit: Some(reading.trigger.limit()),
                labels: sample.map(|sample| &sample.labels),
                reason: reason(&reading.verdict),
                query: &reading.query,
            }
        });
        serde_json::to_value(GateJson {
            prometheus: self.prometheus.as_str(),
            go: self.is_go(),
            triggers: triggers.collect(),
            left_out: self.left_out.iter().map(|trigger| trigger.as_str()).collect(),
        })
    }
}

#[derive(Serialize)]
struct GateJson<'a> {
    prometheus: &'a str,
    go: bool,
    triggers: Vec<TriggerJson<'a>>,
    left_out: Vec<&'static str>,
}

#[derive(Serialize)]
struct TriggerJson<'a> {
    name: &'static str,
    answer: &'static str,
    value: Option<f64>,
    limit: Option<f64>,
    labels: Option<&'a BTreeMap<String, String>>,
    reason: Option<&'static str>,
    query: &'a str,
}
