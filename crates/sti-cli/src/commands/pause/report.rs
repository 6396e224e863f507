//! What `sti pause`, `sti resume` and `sti cancel` report.

use serde::Serialize;
use sti_cli::{Document, Report, Target, number};
use sti_core::backfill::control::{Cancelled, Pause, Paused};

/// The words for a moment.
fn moment(pause: &Pause) -> String {
    pause.since.0.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The report of a pause.
#[derive(Debug, Serialize)]
pub(super) struct PauseReport {
    target: String,
    paused: bool,
    /// It was paused before; nothing was changed.
    already: bool,
    by: Option<String>,
    reason: String,
    since: Option<String>,
    run: Option<i64>,
}

impl PauseReport {
    pub(super) fn new(target: &Target, paused: &Paused, reason: &str) -> Self {
        let already = paused.already.as_ref();
        Self {
            target: target.url.to_string(),
            paused: true,
            already: already.is_some(),
            by: already.map(|pause| pause.by.clone()),
            reason: already.map_or_else(|| reason.to_owned(), |pause| pause.reason.clone()),
            since: already.map(moment),
            run: paused.run.map(|run| run.0),
        }
    }
}

impl Report for PauseReport {
    fn document(&self) -> Document {
        let first = match (&self.by, &self.since) {
            (Some(by), Some(since)) => {
                format!("Paused already, by {by} since {since} ({}). Nothing was changed.", self.reason)
            }
            _ => format!("Paused: {}.", self.reason.trim_end_matches('.')),
        };
        let whom = match self.run {
            Some(run) => format!(
                "The workers of run {run} finish their chunk and wait, without a lock; `sti status` shows when they do."
            ),
            None => "No run is under way; the next one waits before its first chunk.".to_owned(),
        };
        Document::new().paragraph(first).paragraph(whom).paragraph("To go on:").command("sti resume")
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}

/// The report of a resume.
#[derive(Debug, Serialize)]
pub(super) struct ResumeReport {
    target: String,
    paused: bool,
    was_paused: bool,
    by: Option<String>,
    reason: Option<String>,
    since: Option<String>,
}

impl ResumeReport {
    pub(super) fn new(target: &Target, ended: Option<&Pause>) -> Self {
        Self {
            target: target.url.to_string(),
            paused: false,
            was_paused: ended.is_some(),
            by: ended.map(|pause| pause.by.clone()),
            reason: ended.map(|pause| pause.reason.clone()),
            since: ended.map(moment),
        }
    }
}

impl Report for ResumeReport {
    fn document(&self) -> Document {
        let text = match (&self.by, &self.reason, &self.since) {
            (Some(by), Some(reason), Some(since)) => format!(
                "The pause of {by} since {since} ({reason}) is over. Workers that waited go on within a second; `sti \
                 status` says whether there are any."
            ),
            _ => "The backfill of this database was not paused. Nothing was changed.".to_owned(),
        };
        Document::new().paragraph(text)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}

/// The report of a cancel.
#[derive(Debug, Serialize)]
pub(super) struct CancelReport {
    target: String,
    cancelled: Option<i64>,
    created: i64,
    still_paused: bool,
}

impl CancelReport {
    pub(super) fn new(target: &Target, cancelled: Option<&Cancelled>, still_paused: bool) -> Self {
        Self {
            target: target.url.to_string(),
            cancelled: cancelled.map(|cancelled| cancelled.run.0),
            created: cancelled.map_or(0, |cancelled| cancelled.totals.created.total()),
            still_paused,
        }
    }
}

impl Report for CancelReport {
    fn document(&self) -> Document {
        let Some(run) = self.cancelled else {
            return Document::new().paragraph("No run is under way. Nothing was changed.");
        };
        let document = Document::new().paragraph(format!(
            "Run {run} is given up. Its workers end after their chunk. The {} rows that it had made stay; the next \
             backfill begins a new run.",
            number(self.created)
        ));
        if self.still_paused {
            document
                .paragraph("The pause still holds, for the next run too. To end it:")
                .command("sti resume")
        } else {
            document
        }
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}
