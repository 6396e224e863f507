//! `sti runs`

use chrono::{DateTime, Utc};
use serde::Serialize;
use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common, Document, Exit, Report, Table, number};
use sti_core::backfill::{LastRun, RunState, Scope, Totals, runs};
use sti_core::db::Access;

/// List the runs of the backfill, the newest first: when, by whom, over what, how much, and how they ended.
///
/// Reads only. What a run's totals count is what its chunks have committed, by whichever process.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// How many runs.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti runs")?;
    let mut connection = target.connect(Access::Read)?;
    let runs = runs(&mut connection, options.limit)?;
    RunsReport { target: target.url.to_string(), runs: runs.iter().map(RunJson::from).collect() }
        .print(common.format)?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct RunsReport {
    target: String,
    runs: Vec<RunJson>,
}

#[derive(Debug, Serialize)]
struct RunJson {
    id: i64,
    state: RunState,
    scope: Scope,
    sweep: i32,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    started_by: String,
    eligible: i64,
    totals: Totals,
    stop_reason: Option<String>,
}

impl From<&LastRun> for RunJson {
    fn from(run: &LastRun) -> Self {
        Self {
            id: run.run.0,
            state: run.state,
            scope: run.scope,
            sweep: run.sweep,
            started_at: run.started_at.0,
            finished_at: run.finished_at.map(|at| at.0),
            started_by: run.started_by.clone(),
            eligible: run.eligible,
            totals: run.totals,
            stop_reason: run.stop_reason.clone(),
        }
    }
}

impl RunJson {
    fn state(&self) -> &'static str {
        match self.state {
            RunState::Active => "under way",
            RunState::Done => "done",
            RunState::Abandoned => "given up",
            RunState::Failed => "failed",
        }
    }

    fn row(&self) -> Vec<String> {
        let moment = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
        let scope = if self.scope.includes_drafts() { "all" } else { "non-draft" };
        vec![
            self.id.to_string(),
            self.state().to_owned(),
            moment(self.started_at),
            self.finished_at.map_or("-".to_owned(), moment),
            scope.to_owned(),
            number(self.totals.locked),
            number(self.totals.created.total()),
            number(self.totals.equal.total()),
            number(self.totals.conflict.total()),
            number(self.totals.error.total()),
            number(self.totals.unknown),
            self.started_by.clone(),
        ]
    }
}

impl Report for RunsReport {
    fn document(&self) -> Document {
        if self.runs.is_empty() {
            return Document::new().paragraph("No backfill has run in this database.");
        }
        let headers = [
            "run",
            "state",
            "begun (UTC)",
            "ended (UTC)",
            "scope",
            "projects",
            "created",
            "equal",
            "differ",
            "refused",
            "unknown",
            "by",
        ];
        let table = self.runs.iter().fold(Table::new(headers), |table, run| table.row(run.row()));
        let reasons =
            self.runs.iter().filter_map(|run| Some(format!("run {}: {}", run.id, run.stop_reason.as_ref()?)));
        Document::new().table(table).list(reasons)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}
