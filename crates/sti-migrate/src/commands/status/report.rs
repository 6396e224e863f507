//! What `sti-migrate status` reports.

use serde::Serialize;
use sti_cli::{Document, Table, Target, number};
use sti_core::backfill::{LastRun, RunState, Scope, Totals};
use sti_core::contract::Leftovers;
use sti_core::contract::restore::Standing;
use sti_core::db::Backend;
use sti_core::db::sql_types::Timestamp;
use sti_core::expand::{LegacyColumns, Status, TableStatus};
use sti_core::mapping::LEGACY_COLUMNS;
use sti_core::sync::{Installed, SyncStatus};

use super::drops::{self, DropJson};
use crate::commands::leftovers;
use crate::commands::misfits::MisfitJson;

/// The state of a database.
pub(super) struct StatusReport<'s> {
    target: String,
    status: &'s Status,
    standing: &'s Standing,
    left: &'s Leftovers,
    sync: &'s SyncStatus,
}

impl<'s> StatusReport<'s> {
    pub(super) fn new(
        target: &Target,
        status: &'s Status,
        standing: &'s Standing,
        left: &'s Leftovers,
        sync: &'s SyncStatus,
    ) -> Self {
        Self { target: target.url.to_string(), status, standing, left, sync }
    }

    fn server(&self) -> String {
        let Status { backend, server, .. } = self.status;
        let schema = match (backend, &server.schema) {
            (Backend::Sqlite, _) => String::new(),
            (Backend::Postgres, Some(schema)) => format!(", schema {schema}"),
            (Backend::Postgres, None) => ", and no schema of search_path exists".to_owned(),
        };
        format!("{}: {backend} {}{schema}", self.target, server.version)
    }

    fn tables(&self) -> Vec<String> {
        self.status.tables.iter().map(table_line).collect()
    }

    fn legacy(&self) -> String {
        let all = LEGACY_COLUMNS.join(", ");
        match &self.status.legacy {
            LegacyColumns::Present => format!("Legacy columns: all five are there ({all})."),
            LegacyColumns::Dropped => format!("Legacy columns: dropped ({all})."),
            LegacyColumns::Missing(missing) => {
                format!("Legacy columns: missing without a recorded drop: {}.", missing.join(", "))
            }
            LegacyColumns::NoTable => "Legacy columns: there is no projects_project yet.".to_owned(),
        }
    }

    fn migrations(&self) -> Table {
        let table = Table::new(["migration", "state"]);
        self.status.migrations.iter().fold(table, |table, migration| {
            let state = if migration.applied { "applied" } else { "pending" };
            table.row([format!("{}_{}", migration.version, migration.name), state.to_owned()])
        })
    }

    /// Why, and the commands. What does not fit comes first, then a restore.
    fn next(&self) -> (&'static str, &'static [&'static str]) {
        let step = self.status.next_step;
        let of_restore = if self.status.misfits.is_empty() { drops::next(self.standing) } else { None };
        of_restore.unwrap_or_else(|| (step.reason(), step.commands(self.status.last_run.as_ref())))
    }

    fn own_tables(&self) -> String {
        let names = |there: bool| {
            let own = self.status.own.iter().filter(|own| own.there == there);
            own.map(|own| own.name).collect::<Vec<_>>().join(", ")
        };
        match (names(true), names(false)) {
            (there, missing) if missing.is_empty() => format!("The tools' own tables are there: {there}."),
            (there, missing) if there.is_empty() => format!("The tools' own tables are missing: {missing}."),
            (there, missing) => {
                format!("Of the tools' own tables, {there} are there and {missing} are missing.")
            }
        }
    }
}

impl sti_cli::Report for StatusReport<'_> {
    fn document(&self) -> Document {
        let status = self.status;
        let mut document = Document::new()
            .paragraph(self.server())
            .heading("Tables")
            .list(self.tables())
            .paragraph(self.legacy())
            .heading("Migrations")
            .table(self.migrations())
            .paragraph(others(status.others))
            .paragraph(self.own_tables());
        if !status.misfits.is_empty() {
            document =
                document.heading("What does not fit").list(status.misfits.iter().map(ToString::to_string));
        }
        if !status.notes.is_empty() {
            document = document.heading("Notes").list(status.notes.iter().map(ToString::to_string));
        }
        document = last_run(document.heading("Last run"), status.last_run.as_ref());
        if let Some(remark) = self.sync.remark() {
            document = document.heading("Sync triggers").paragraph(capitalised(remark));
        }
        let drops = drops::lines(self.standing);
        if !drops.is_empty() {
            document = document.heading("Drops of the legacy columns").list(drops);
        }
        let left = leftovers::lines(self.left);
        if !left.is_empty() {
            let whose = if self.left.at_work() {
                "Of a drop or rehearsal that is at work; it takes them away itself:"
            } else {
                "Of a drop or rehearsal that was killed or could not take them away; the next one does, or \
                 sti-migrate up:"
            };
            document = document.heading("Left behind").paragraph(whose).list(left);
        }
        let (reason, commands) = self.next();
        let document = document.heading("Next step").paragraph(capitalised(reason));
        commands.iter().fold(document, |document, command| document.command(*command))
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let status = self.status;
        let (reason, commands) = self.next();
        let (legacy_columns, missing) = match &status.legacy {
            LegacyColumns::Present => ("present", &[][..]),
            LegacyColumns::Dropped => ("dropped", &[][..]),
            LegacyColumns::Missing(missing) => ("missing", &missing[..]),
            LegacyColumns::NoTable => ("no_table", &[][..]),
        };
        serde_json::to_value(Json {
            target: &self.target,
            backend: status.backend,
            server_version: &status.server.version,
            schema: status.server.schema.as_deref(),
            fits: status.misfits.is_empty(),
            tables: status.tables.iter().map(table_json).collect(),
            legacy_columns,
            missing_legacy_columns: missing,
            migrations: status
                .migrations
                .iter()
                .map(|m| MigrationJson { version: m.version, name: m.name, applied: m.applied })
                .collect(),
            other_migrations: status.others,
            own_tables: status.own.iter().map(|own| OwnJson { name: own.name, there: own.there }).collect(),
            misfits: status.misfits.iter().map(MisfitJson::from).collect(),
            notes: status.notes.iter().map(ToString::to_string).collect(),
            last_run: status.last_run.as_ref().map(run_json),
            drops: drops::json(self.standing),
            restore_triggers: drops::triggers(self.standing),
            sync_triggers: match self.sync.installed {
                Installed::No => "none",
                Installed::InPart => "some",
                Installed::Yes => "all",
            },
            drop_at_work: self.left.at_work(),
            left_behind: leftovers::lines(self.left),
            next_step: NextJson { reason, commands },
        })
    }
}

fn table_line(table: &TableStatus) -> String {
    let TableStatus { name, there, columns, left_alone } = table;
    if !there {
        return format!("{name}: missing");
    }
    let ours: Vec<&str> =
        columns.iter().filter(|column| !left_alone.contains(column)).map(String::as_str).collect();
    match left_alone.as_slice() {
        [] => format!("{name}: {}", ours.join(", ")),
        others => format!("{name}: {}; not ours: {}", ours.join(", "), others.join(", ")),
    }
}

fn others(others: usize) -> String {
    match others {
        0 => "No other migrations are recorded beside them.".to_owned(),
        1 => "One more is recorded beside them; it is the application's.".to_owned(),
        _ => format!("{others} more are recorded beside them; they are the application's."),
    }
}

fn last_run(document: Document, run: Option<&LastRun>) -> Document {
    let Some(run) = run else { return document.paragraph("There has been no backfill.") };
    let state = match run.state {
        RunState::Active => "is under way or was stopped",
        RunState::Done => "is complete",
        RunState::Abandoned => "was given up",
        RunState::Failed => "failed",
    };
    let finished = run.finished_at.map(|at| format!(", ended {}", moment(at))).unwrap_or_default();
    let reason = run.stop_reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let Totals { locked, created, equal, conflict, unknown, error } = run.totals;
    document
        .paragraph(format!(
            "Run {} for {} {state}{reason}: sweep {}, begun {} by {}{finished}.",
            run.run,
            run.scope,
            run.sweep,
            moment(run.started_at),
            run.started_by,
        ))
        .table(
            Table::new(["projects", "count"])
                .row(["in scope when it began".to_owned(), number(run.eligible)])
                .row(["worked on".to_owned(), number(locked)])
                .row(["row created".to_owned(), number(created.total())])
                .row(["row was there and is equal".to_owned(), number(equal.total())])
                .row(["row was there and differs".to_owned(), number(conflict.total())])
                .row(["of unknown type".to_owned(), number(unknown)])
                .row(["refused, in quarantine".to_owned(), number(error.total())]),
        )
}

/// A moment of the database's clock, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.0.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[derive(Serialize)]
struct Json<'s> {
    target: &'s str,
    backend: Backend,
    server_version: &'s str,
    schema: Option<&'s str>,
    fits: bool,
    tables: Vec<TableJson<'s>>,
    legacy_columns: &'static str,
    missing_legacy_columns: &'s [&'static str],
    migrations: Vec<MigrationJson>,
    other_migrations: usize,
    own_tables: Vec<OwnJson>,
    misfits: Vec<MisfitJson>,
    notes: Vec<String>,
    last_run: Option<RunJson<'s>>,
    drops: Vec<DropJson<'s>>,
    /// `none`, `some` or `all`.
    restore_triggers: &'static str,
    /// `none`, `some` (or not as they should be) or `all`.
    sync_triggers: &'static str,
    /// Whether a drop or a rehearsal is under way; what is left behind is then its own.
    drop_at_work: bool,
    /// What drops that were not made have left, a line each.
    left_behind: Vec<String>,
    next_step: NextJson,
}

#[derive(Serialize)]
struct TableJson<'s> {
    name: &'s str,
    there: bool,
    columns: &'s [String],
    left_alone: &'s [String],
}

fn table_json(table: &TableStatus) -> TableJson<'_> {
    let TableStatus { name, there, columns, left_alone } = table;
    TableJson { name, there: *there, columns, left_alone }
}

#[derive(Serialize)]
struct MigrationJson {
    version: &'static str,
    name: &'static str,
    applied: bool,
}

#[derive(Serialize)]
struct OwnJson {
    name: &'static str,
    there: bool,
}

#[derive(Serialize)]
struct RunJson<'s> {
    run: i64,
    state: RunState,
    scope: Scope,
    sweep: i32,
    eligible: i64,
    started_at: String,
    finished_at: Option<String>,
    stop_reason: Option<&'s str>,
    started_by: &'s str,
    totals: Totals,
}

fn run_json(run: &LastRun) -> RunJson<'_> {
    RunJson {
        run: run.run.0,
        state: run.state,
        scope: run.scope,
        sweep: run.sweep,
        eligible: run.eligible,
        started_at: moment(run.started_at),
        finished_at: run.finished_at.map(moment),
        stop_reason: run.stop_reason.as_deref(),
        started_by: &run.started_by,
        totals: run.totals,
    }
}

#[derive(Serialize)]
struct NextJson {
    reason: &'static str,
    commands: &'static [&'static str],
}
