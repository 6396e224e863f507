//! The report of a baseline.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sti_cli::prometheus::promql;
use sti_cli::{Document, Report, Table};

use super::measure::Baseline;

pub(super) struct BaselineReport<'a> {
    file: &'a Path,
    over: Duration,
    baselines: &'a [Baseline],
}

impl<'a> BaselineReport<'a> {
    pub(super) fn new(file: &'a Path, over: Duration, baselines: &'a [Baseline]) -> Self {
        Self { file, over, baselines }
    }
}

fn ms(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1000.0)
}

impl Report for BaselineReport<'_> {
    fn document(&self) -> Document {
        let mut table = Table::new(["baseline", "of", "average", "trigger above"]);
        for Baseline { subject, of, seconds } in self.baselines {
            table = table.row([
                subject.name().to_owned(),
                of.clone(),
                ms(*seconds),
                ms(seconds * subject.limit()),
            ]);
        }
        Document::new()
            .paragraph(format!("Frozen: the averages of the last {}.", promql(self.over)))
            .table(table)
            .paragraph(format!(
                "Written to {}. Name it under rule_files beside docs/monitoring/rules.yml, and let Prometheus read its \
                 configuration again:",
                self.file.display()
            ))
            .command("kill -HUP PID   # or: curl -X POST URL/-/reload, with --web.enable-lifecycle")
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let baselines = self.baselines.iter().map(|baseline| BaselineJson {
            record: baseline.subject.recorded(),
            of: &baseline.of,
            seconds: baseline.seconds,
            limit_seconds: baseline.seconds * baseline.subject.limit(),
        });
        serde_json::to_value(FileJson {
            file: self.file,
            over_seconds: self.over.as_secs(),
            baselines: baselines.collect(),
        })
    }
}

#[derive(Serialize)]
struct FileJson<'a> {
    file: &'a Path,
    over_seconds: u64,
    baselines: Vec<BaselineJson<'a>>,
}

#[derive(Serialize)]
struct BaselineJson<'a> {
    record: &'static str,
    of: &'a str,
    seconds: f64,
    limit_seconds: f64,
}
