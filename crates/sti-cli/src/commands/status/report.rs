//! What `sti status` reports.

mod json;

use std::time::Duration;

use sti_cli::{Document, Report, Table, Target, number, percent, time};
use sti_core::backfill::status::{Condition, LeaseStatus, RunStatus, Status, age};

use self::json::StatusJson;

/// The state of the backfill of a database.
pub(super) struct StatusReport<'s> {
    target: String,
    status: &'s Status,
}

impl<'s> StatusReport<'s> {
    pub(super) fn new(target: &Target, status: &'s Status) -> Self {
        Self { target: target.url.to_string(), status }
    }

    fn ago(&self, at: sti_core::db::sql_types::Timestamp) -> String {
        format!("{} ago", time::rough(age(at, self.status.now)))
    }

    /// What it comes to, and how to go on where somebody has to do something.
    fn verdict(&self, run: &RunStatus) -> (String, Option<&'static str>) {
        let id = run.run.run;
        let reason = run.run.stop_reason.as_deref().unwrap_or("the ledger does not say why");
        let again = run.run.scope.command();
        let silent = run.last_checkpoint.map_or_else(
            || "no chunk has been committed".to_owned(),
            |at| format!("the last chunk was committed {}", self.ago(at)),
        );
        match run.condition {
            Condition::Working => (format!("Run {id} is being worked on; {silent}."), None),
            Condition::Waiting => {
                let wait = run.waits.iter().find(|wait| wait.waiting);
                let why = wait.map_or_else(String::new, |wait| {
                    format!(" since {} ago: {}", time::rough(age(wait.since, self.status.now)), wait.detail)
                });
                let paused = self.status.pause.is_some().then_some("sti resume");
                (format!("Run {id} waits{why}."), paused)
            }
            Condition::Stopped => {
                let why = run.run.stop_reason.as_ref().map_or_else(
                    || format!("{silent}. (A process that counts at the end of a sweep is not seen here.)"),
                    |reason| format!("it was stopped, and {silent}. Why: {}.", reason.trim_end_matches('.')),
                );
                (
                    format!(
                        "Run {id} is under way and nobody works on it: {why} The same command takes it up:"
                    ),
                    Some(again),
                )
            }
            Condition::Stalled => (
                format!(
                    "Run {id} stands still: a lease has run out, and {silent}. Its process was killed, or stands still; \
                     nothing is lost. The same command takes its chunk over:"
                ),
                Some(again),
            ),
            Condition::Done => (format!("Run {id} is done."), None),
            Condition::Failed => (format!("Run {id} has failed: {reason}."), None),
            Condition::GivenUp => (format!("Run {id} was given up: {reason}."), None),
        }
    }

    fn figures(&self, run: &RunStatus) -> Table {
        let (ledger, totals) = (&run.run, &run.run.totals);
        let moment =
            |at: sti_core::db::sql_types::Timestamp| at.0.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        let swept = format!(
            "{} of {} ({})",
            number(totals.locked),
            number(ledger.eligible),
            percent(totals.locked.min(ledger.eligible), ledger.eligible)
        );
        let kinds = |of: sti_core::backfill::PerKind| {
            format!(
                "{} ({} school, {} self-study)",
                number(of.total()),
                number(of.school),
                number(of.self_study)
            )
        };
        let mut table = Table::new(["run", &ledger.run.to_string()])
            .row(["scope", &ledger.scope.to_string()])
            .row(["begun".to_owned(), format!("{} by {}", moment(ledger.started_at), ledger.started_by)]);
        if let Some(finished) = ledger.finished_at {
            table = table.row(["ended".to_owned(), moment(finished)]);
        }
        table = table
            .row(["sweep".to_owned(), ledger.sweep.to_string()])
            .row(["projects swept".to_owned(), swept])
            .row(["rows created".to_owned(), kinds(totals.created)])
            .row(["rows there and equal".to_owned(), kinds(totals.equal)])
            .row(["rows there that differ".to_owned(), kinds(totals.conflict)])
            .row(["rows refused".to_owned(), kinds(totals.error)])
            .row(["of unknown type".to_owned(), number(totals.unknown)]);
        if let Some(recent) = run.recent {
            let size = recent.projects / recent.chunks.max(1);
            table =
                table.row(["rate".to_owned(), format!("{} projects/s", number(recent.rate as i64))]).row([
                    "newest chunks".to_owned(),
                    format!(
                        "{} of {} projects and {} ms each, the longest {} ms",
                        number(recent.chunks),
                        number(size),
                        recent.mean.as_millis(),
                        recent.longest.as_millis()
                    ),
                ]);
        }
        if let Some(left) = run.time_left() {
            table = table.row(["time left".to_owned(), time::rough(left)]);
        }
        if let Some(at) = run.last_checkpoint {
            table = table.row(["last checkpoint".to_owned(), self.ago(at)]);
        }
        table
    }

    fn lease_row(&self, lease: &LeaseStatus) -> [String; 5] {
        let now = self.status.now;
        let expires = if lease.is_free() {
            "free".to_owned()
        } else if lease.expired {
            format!("ran out {}", self.ago(lease.expires_at))
        } else {
            format!("runs out in {}", time::rough(age(now, lease.expires_at)))
        };
        [
            format!("{}.{}", lease.sweep, lease.number),
            if lease.is_free() { "-".to_owned() } else { lease.owner.clone() },
            lease.since.map_or("-".to_owned(), |since| self.ago(since)),
            expires,
            lease.attempts.to_string(),
        ]
    }

    fn of_run(&self, run: &RunStatus) -> Document {
        let (verdict, command) = self.verdict(run);
        let mut document = Document::new().paragraph(verdict);
        if let Some(command) = command {
            document = document.command(command);
        }
        document = document.table(self.figures(run));
        if !run.leases.is_empty() {
            let table = Table::new(["chunk", "worker", "since", "lease", "attempts"]);
            let table = run.leases.iter().fold(table, |table, lease| table.row(self.lease_row(lease)));
            document = document.heading("Chunks that are cut and not done").table(table);
        }
        let waited =
            |wait: &&sti_core::backfill::status::WaitStatus| wait.waited > Duration::ZERO || wait.waiting;
        let waits: Vec<_> = run.waits.iter().filter(waited).collect();
        if !waits.is_empty() {
            let table = Table::new(["waited for", "process", "time", "now"]);
            let table = waits.iter().fold(table, |table, wait| {
                let now = if wait.waiting { wait.detail.clone() } else { String::new() };
                table.row([wait.reason.clone(), wait.owner.clone(), time::rough(wait.waited), now])
            });
            document = document.heading("Waits").table(table);
        }
        if !run.quarantined.is_empty() {
            let table = Table::new(["quarantined", "projects"]);
            let table = run
                .quarantined
                .iter()
                .fold(table, |table, (class, projects)| table.row([class.clone(), number(*projects)]));
            document = document
                .heading("Projects whose row the database refused")
                .table(table)
                .paragraph("Which, and why:")
                .command("sti quarantine list");
        }
        document
    }
}

impl Report for StatusReport<'_> {
    fn document(&self) -> Document {
        let mut document = match &self.status.run {
            Some(run) => self.of_run(run),
            None => Document::new()
                .paragraph("No backfill has run in this database.")
                .command("sti backfill --dry-run"),
        };
        let waits = self.status.run.as_ref().is_some_and(|run| run.condition == Condition::Waiting);
        if let (Some(pause), false) = (&self.status.pause, waits) {
            document = document
                .paragraph(format!(
                    "Paused by {} since {} ({}): no chunk begins, of this run or the next. To go on:",
                    pause.by,
                    pause.since.0.format("%Y-%m-%d %H:%M:%S UTC"),
                    pause.reason
                ))
                .command("sti resume");
        }
        document
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(StatusJson::new(&self.target, self.status))
    }
}

#[cfg(test)]
mod tests;
