//! What `sti-migrate up` reports.

use serde::Serialize;
use sti_cli::{Document, Table, Target};
use sti_core::db::Backend;
use sti_core::db::dialect::MissingGrant;
use sti_core::expand::{LegacyColumns, Misfit, Plan, TableAction, TablePlan, UpReport};
use sti_core::sync::SyncStatus;

use crate::commands::misfits::MisfitJson;

/// What was done, or would be.
pub(super) struct Report<'r> {
    target: String,
    report: &'r UpReport,
    sync: &'r SyncStatus,
    /// What was taken away, or would be, of drops and rehearsals that were not made.
    taken_away: &'r [String],
}

impl<'r> Report<'r> {
    pub(super) fn new(
        target: &Target,
        report: &'r UpReport,
        sync: &'r SyncStatus,
        taken_away: &'r [String],
    ) -> Self {
        Self { target: target.url.to_string(), report, sync, taken_away }
    }

    fn plan(&self) -> &Plan {
        &self.report.plan
    }

    fn outcome(&self) -> Outcome {
        match (self.plan().is_done() && self.taken_away.is_empty(), self.report.executed) {
            (true, _) => Outcome::Unchanged,
            (false, true) => Outcome::Changed,
            (false, false) => Outcome::WouldChange,
        }
    }

    fn action(&self, action: TableAction) -> &'static str {
        match (action, self.report.executed) {
            (TableAction::Create, true) => "created",
            (TableAction::Create, false) => "would be created",
            (TableAction::Adopt, true) => "adopted as it is",
            (TableAction::Adopt, false) => "fits, would be adopted as it is",
            (TableAction::Keep, _) => "unchanged",
        }
    }

    fn tables(&self) -> Table {
        let table = Table::new(["table", "what", "columns left alone"]);
        self.plan().tables.iter().fold(table, |table, TablePlan { name, action, left_alone }| {
            table.row([(*name).to_owned(), self.action(*action).to_owned(), left_alone.join(", ")])
        })
    }

    fn migrations(&self, document: Document) -> Document {
        let plan = self.plan();
        let document = match (plan.is_done(), self.report.executed) {
            (true, _) => document,
            (false, true) => document.paragraph("Migrations run:"),
            (false, false) => document.paragraph("Migrations that would run:"),
        };
        let document = document.list(plan.pending.iter().map(ToString::to_string));
        match plan.others {
            0 => document,
            1 => document.paragraph("One more migration is recorded beside ours; it is the application's."),
            others => document.paragraph(format!(
                "{others} more migrations are recorded beside ours; they are the application's."
            )),
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.outcome(), self.plan().is_done()) {
            (Outcome::Unchanged, _) => "The schema is up to date. Nothing was changed.",
            (Outcome::Changed, true) => "The schema is up to date.",
            (Outcome::Changed, false) => "The schema is ready.",
            (Outcome::WouldChange, true) => "Dry run: the schema is up to date, and nothing was changed.",
            (Outcome::WouldChange, false) => "Dry run: everything fits, and nothing was changed.",
        }
    }

    fn of_drops(&self, document: Document) -> Document {
        if self.taken_away.is_empty() {
            return document;
        }
        let taken = if self.report.executed { "Taken away" } else { "Would be taken away" };
        document
            .paragraph(format!("{taken}, as a drop or rehearsal that was not made has left it behind:"))
            .list(self.taken_away.iter().map(String::as_str))
    }

    /// What is worth knowing of the schema, and of the triggers on it.
    fn notes(&self) -> Vec<String> {
        let notes = self.plan().notes.iter().map(ToString::to_string);
        notes.chain(self.sync.remark().map(str::to_owned)).collect()
    }

    fn grants(&self, document: Document) -> Document {
        if self.report.missing_grants.is_empty() {
            return document;
        }
        let document = document.paragraph(
            "These roles work with projects_project and lack privileges on the subtype tables. Dual writes need \
             them; nothing was granted here. As the owner of the tables:",
        );
        self.report
            .missing_grants
            .iter()
            .fold(document, |document, grant| document.command(grant.to_string()))
    }
}

impl sti_cli::Report for Report<'_> {
    fn document(&self) -> Document {
        let plan = self.plan();
        let document = Document::new().paragraph(self.verdict()).table(self.tables());
        let mut document = self.of_drops(self.migrations(document));
        let widened = plan.widened.iter().map(ToString::to_string);
        let remarks: Vec<String> = widened.chain(self.notes()).collect();
        if !remarks.is_empty() {
            document = document.paragraph("Notes:").list(remarks);
        }
        document = self.grants(document);
        if !plan.obstacles.is_empty() {
            return document
                .paragraph("This session cannot do it:")
                .list(plan.obstacles.iter().map(ToString::to_string));
        }
        match (self.outcome(), &plan.legacy) {
            (Outcome::WouldChange, _) => document.paragraph("Next:").command("sti-migrate up"),
            (_, LegacyColumns::Dropped) => document,
            _ => document.paragraph("Next:").command("sti backfill --dry-run"),
        }
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let plan = self.plan();
        serde_json::to_value(Json {
            target: &self.target,
            outcome: self.outcome(),
            backend: plan.backend,
            server_version: &plan.server.version,
            schema: plan.server.schema.as_deref(),
            attempts: self.report.attempts,
            tables: plan.tables.iter().map(table_json).collect(),
            migrations: plan.pending.iter().map(ToString::to_string).collect(),
            other_migrations: plan.others,
            widened: plan.widened.iter().map(ToString::to_string).collect(),
            obstacles: plan.obstacles.iter().map(ToString::to_string).collect(),
            missing_grants: self.report.missing_grants.iter().map(grant_json).collect(),
            notes: self.notes(),
            taken_away: self.taken_away,
        })
    }
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Unchanged,
    Changed,
    WouldChange,
}

#[derive(Serialize)]
struct Json<'r> {
    target: &'r str,
    outcome: Outcome,
    backend: Backend,
    server_version: &'r str,
    schema: Option<&'r str>,
    attempts: u32,
    tables: Vec<TableJson<'r>>,
    migrations: Vec<String>,
    other_migrations: usize,
    widened: Vec<String>,
    obstacles: Vec<String>,
    missing_grants: Vec<GrantJson<'r>>,
    notes: Vec<String>,
    /// What was taken away, or would be, of drops and rehearsals that were not made, a line each.
    taken_away: &'r [String],
}

#[derive(Serialize)]
struct TableJson<'r> {
    name: &'r str,
    action: &'static str,
    left_alone: &'r [String],
}

fn table_json(table: &TablePlan) -> TableJson<'_> {
    let action = match table.action {
        TableAction::Create => "create",
        TableAction::Adopt => "adopt",
        TableAction::Keep => "keep",
    };
    TableJson { name: table.name, action, left_alone: &table.left_alone }
}

#[derive(Serialize)]
struct GrantJson<'r> {
    role: &'r str,
    privileges: &'r str,
    table: &'r str,
    statement: String,
}

fn grant_json(grant: &MissingGrant) -> GrantJson<'_> {
    let statement = grant.to_string();
    GrantJson { role: &grant.role, privileges: &grant.privileges, table: &grant.table, statement }
}

/// What does not fit.
pub(super) struct Refusal<'r> {
    target: String,
    misfits: &'r [Misfit],
}

impl<'r> Refusal<'r> {
    pub(super) fn new(target: &Target, misfits: &'r [Misfit]) -> Self {
        Self { target: target.url.to_string(), misfits }
    }
}

impl sti_cli::Report for Refusal<'_> {
    fn document(&self) -> Document {
        Document::new()
            .paragraph("Refused: this does not fit, and nothing was changed.")
            .list(self.misfits.iter().map(ToString::to_string))
            .paragraph("Mend each of them, then:")
            .command("sti-migrate up")
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        #[derive(Serialize)]
        struct RefusalJson<'r> {
            target: &'r str,
            outcome: &'static str,
            misfits: Vec<MisfitJson>,
        }
        serde_json::to_value(RefusalJson {
            target: &self.target,
            outcome: "refused",
            misfits: self.misfits.iter().map(MisfitJson::from).collect(),
        })
    }
}
