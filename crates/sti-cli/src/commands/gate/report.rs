//! The report of the gate.

use std::collections::BTreeMap;

use serde::Serialize;
use sti_cli::gate::{Reading, Trigger, Verdict};
use sti_cli::prometheus::Sample;
use sti_cli::{Document, Report, Table};
use url::Url;

use super::pause::Pause;

/// The trigger that the ledger answers.
const PAUSED: &str = "paused";

pub(super) struct GateReport<'a> {
    prometheus: &'a Url,
    left_out: &'a [Trigger],
    readings: &'a [Reading],
    pause: &'a Pause,
}

impl<'a> GateReport<'a> {
    pub(super) fn new(
        prometheus: &'a Url,
        left_out: &'a [Trigger],
        readings: &'a [Reading],
        pause: &'a Pause,
    ) -> Self {
        Self { prometheus, left_out, readings, pause }
    }

    pub(super) fn is_go(&self) -> bool {
        self.pause.is_go() && self.readings.iter().all(|reading| reading.verdict.is_go())
    }

    fn headline(&self) -> String {
        let readings = self.readings.iter().filter(|reading| !reading.verdict.is_go()).map(name);
        let stops: Vec<&str> = readings.chain((!self.pause.is_go()).then_some(PAUSED)).collect();
        match &stops[..] {
            [] => "Go: every trigger is within its limit.".to_owned(),
            names => format!("Stop: {}.", names.join(", ")),
        }
    }
}

fn name(reading: &Reading) -> &'static str {
    reading.trigger.as_str()
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
                sample.map_or_else(|| "-".to_owned(), |sample| trigger.unit().show(sample.value)),
                trigger.unit().show(trigger.limit()),
                sample.map_or_else(|| reason(verdict).unwrap_or_default().to_owned(), Sample::to_string),
            ]);
        }
        for trigger in self.left_out {
            table = table.row([trigger.as_str(), "left out", "-", &trigger.unit().show(trigger.limit()), ""]);
        }
        table = table.row([PAUSED, self.pause.answer(), "-", "-", self.pause.reason().unwrap_or_default()]);
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
            paused: PausedJson { answer: self.pause.answer(), reason: self.pause.reason() },
            left_out: self.left_out.iter().map(|trigger| trigger.as_str()).collect(),
        })
    }
}

#[derive(Serialize)]
struct GateJson<'a> {
    prometheus: &'a str,
    go: bool,
    triggers: Vec<TriggerJson<'a>>,
    paused: PausedJson<'a>,
    left_out: Vec<&'static str>,
}

#[derive(Serialize)]
struct PausedJson<'a> {
    answer: &'static str,
    reason: Option<&'a str>,
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
