//! What `sti backfill` reports, live and dry.

use serde::Serialize;
use sti_cli::{Document, Report, Table, Target, number};
use sti_core::backfill::{Backfill, DryRun, Ending, Scope, Totals};
use sti_core::repository::WriteMode;

/// The report of a live run.
#[derive(Debug, Serialize)]
pub(crate) struct RunReport {
    target: String,
    run: i64,
    scope: Scope,
    resumed: bool,
    ending: &'static str,
    still_missing: i64,
    stop_reason: Option<String>,
    /// Of the whole run, out of the ledger.
    totals: Totals,
    /// What this process committed.
    this_process: Totals,
}

impl RunReport {
    pub(crate) fn new(target: &Target, scope: Scope, backfill: &Backfill) -> Self {
        let (ending, still_missing) = match backfill.ending {
            Ending::Complete => ("complete", 0),
            Ending::StillMissing(missing) => ("still_missing", missing),
            Ending::Stopped => ("stopped", 0),
            Ending::GivenUp => ("given_up", 0),
            Ending::FailedElsewhere => ("failed_elsewhere", 0),
            Ending::TooManyErrors { .. } => ("too_many_errors", 0),
        };
        Self {
            target: target.url.to_string(),
            run: backfill.run.0,
            scope,
            resumed: backfill.resumed,
            ending,
            still_missing,
            stop_reason: backfill.stop_reason.clone(),
            totals: backfill.totals,
            this_process: backfill.here,
        }
    }

    /// What a complete run has left.
    fn exceptions(&self) -> Vec<String> {
        let (conflicts, errors) = (self.totals.conflict.total(), self.totals.error.total());
        let conflicts = (conflicts > 0)
            .then(|| format!("{} rows were there with other values and were left alone", number(conflicts)));
        let errors = (errors > 0).then(|| {
            format!("the database refused the rows of {} projects, now in quarantine", number(errors))
        });
        conflicts.into_iter().chain(errors).collect()
    }

    fn verdict(&self) -> String {
        let (run, scope) = (self.run, self.scope);
        match self.ending {
            "complete" if !self.exceptions().is_empty() => {
                format!("Run {run} is complete for {scope}, but {}.", self.exceptions().join("; and "))
            }
            "complete" => {
                format!("Run {run} is complete for {scope}: every one of a known type has its row.")
            }
            "still_missing" => format!(
                "Run {run} gave up after its last catch-up sweep: {} projects still lack their row.",
                number(self.still_missing)
            ),
            "too_many_errors" => format!(
                "Run {run} was stopped: the database refused the rows of {} of {} projects here. They are in \
                 quarantine; everything else is committed.",
                number(self.this_process.error.total()),
                number(self.this_process.locked)
            ),
            "stopped" => {
                format!(
                    "Run {run} was stopped, as asked. Each chunk is committed as a whole, or nothing of it is."
                )
            }
            "given_up" => format!("Run {run} was given up: {}.", self.reason()),
            _ => format!("Run {run} was ended by another process: {}.", self.reason()),
        }
    }

    fn reason(&self) -> &str {
        self.stop_reason.as_deref().unwrap_or("the ledger does not say why")
    }

    fn next_step(&self) -> (&'static str, &'static str) {
        let again = self.scope.command();
        match self.ending {
            "complete" | "too_many_errors" if self.totals.error.total() > 0 => (
                "See what was refused and why; when the cause is mended, `sti quarantine retry` makes their rows:",
                "sti quarantine list",
            ),
            "complete" if self.totals.conflict.total() > 0 => (
                "A row that differs was changed on one side only, as by a service with ENABLE_STI=false. See which:",
                "sti-verify",
            ),
            "complete" => ("Next:", "sti-verify"),
            "still_missing" => (
                "Some service adds projects without dual writes: find it, set ENABLE_STI=true there, and run again:",
                again,
            ),
            "given_up" => ("What it had made stays. To see what is left to do:", "sti backfill --dry-run"),
            "failed_elsewhere" => ("What it had made stays. To see how it went:", "sti runs"),
            _ => ("Nothing is lost. The same command takes it up:", again),
        }
    }
}

fn outcome_table(totals: &Totals, created: &str) -> Table {
    let row = |name: &str, school: i64, self_study: i64| {
        [name.to_owned(), number(school), number(self_study), String::new(), number(school + self_study)]
    };
    Table::new(["outcome", "school", "self-study", "unknown type", "all"])
        .row(row(created, totals.created.school, totals.created.self_study))
        .row(row("skipped: row is there and equal", totals.equal.school, totals.equal.self_study))
        .row(row("conflict: row is there and differs", totals.conflict.school, totals.conflict.self_study))
        .row([
            "skipped: unknown type".into(),
            String::new(),
            String::new(),
            number(totals.unknown),
            number(totals.unknown),
        ])
        .row(row("error: refused, in quarantine", totals.error.school, totals.error.self_study))
        .row([
            "all".to_owned(),
            number(
                totals.created.school + totals.equal.school + totals.conflict.school + totals.error.school,
            ),
            number(
                totals.created.self_study
                    + totals.equal.self_study
                    + totals.conflict.self_study
                    + totals.error.self_study,
            ),
            number(totals.unknown),
            number(totals.locked),
        ])
}

impl Report for RunReport {
    fn document(&self) -> Document {
        let (why, command) = self.next_step();
        let whose = if self.resumed {
            format!(
                "The run was resumed: of these, {} projects were done by this process, the others before.",
                number(self.this_process.locked)
            )
        } else {
            "Counted from what committed.".to_owned()
        };
        Document::new()
            .paragraph(self.verdict())
            .table(outcome_table(&self.totals, "created"))
            .paragraph(whose)
            .paragraph(why)
            .command(command)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}

/// The report of a dry run.
#[derive(Debug, Serialize)]
pub(crate) struct DryRunReport {
    target: String,
    dry_run: bool,
    scope: Scope,
    write_mode: String,
    totals: Totals,
    estimate_seconds: u64,
    projects_per_second: i64,
    estimate_is_measured: bool,
}

impl DryRunReport {
    pub(crate) fn new(target: &Target, scope: Scope, mode: WriteMode, dry: &DryRun) -> Self {
        Self {
            target: target.url.to_string(),
            dry_run: true,
            scope,
            write_mode: mode.to_string(),
            totals: dry.totals,
            estimate_seconds: dry.estimate.as_secs_f64().ceil() as u64,
            projects_per_second: dry.rate as i64,
            estimate_is_measured: dry.measured,
        }
    }
}

impl Report for DryRunReport {
    fn document(&self) -> Document {
        let rate = number(self.projects_per_second);
        let source = if self.estimate_is_measured {
            format!("at {rate} projects a second, as the chunks did that ran in this database before")
        } else {
            format!("assuming {rate} projects a second; nothing has been measured in this database yet")
        };
        let document = Document::new()
            .paragraph(format!(
                "Dry run over {}, ENABLE_STI here: {}. Nothing was written.",
                self.scope, self.write_mode
            ))
            .table(outcome_table(&self.totals, "would be created"))
            .paragraph(format!("A live run would take about {} s ({source}).", self.estimate_seconds));
        if self.totals.conflict.total() > 0 {
            document
                .paragraph("Rows that differ are left alone by a backfill. See which, before anything else:")
                .command("sti-verify")
        } else {
            document.paragraph("Next:").command(self.scope.command())
        }
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}
