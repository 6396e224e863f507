//! `--plan-out`: the plan as a file that a reviewer reads in a pull request.

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use sti_cli::time::utc;
use sti_cli::{Document, Failure, Table, number, whole_file};
use sti_core::contract::{DropPlan, VALID, Verdict};
use sti_core::db::Backend;
use sti_core::db::migrations::DROP;
use sti_core::db::sql_types::Timestamp;

use super::report::DropReport;
use super::sections;

/// The first line of every plan file, by which a later plan knows that it may take its place.
const MARK: &str =
    "<!-- sti-migrate drop-legacy --plan-out: a later plan may take the place of this file -->";

/// The label that the rollout plan has for the pull request.
const LABEL: &str = "sti-column-drop";

/// A place for a plan.
#[derive(Debug)]
pub(super) struct PlanFile {
    path: PathBuf,
    /// An earlier plan is there.
    replaces: bool,
}

impl PlanFile {
    /// Looks at the place before any work is done: what is there and is no plan of ours stays.
    pub(super) fn at(path: &Path) -> Result<Self, Failure> {
        // Before it is opened: to open a pipe is to wait for somebody who writes to it.
        let replaces = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failure(path, &error)),
            Ok(there) if !there.is_file() => {
                return Err(failure(path, &"what is there is no regular file"));
            }
            Ok(_) => {
                let file = fs::File::open(path).map_err(|error| failure(path, &error))?;
                let mut begins = String::new();
                let _ = file.take(MARK.len() as u64).read_to_string(&mut begins);
                if begins != MARK {
                    return Err(failure(path, &"what is there is no plan of this command"));
                }
                true
            }
        };
        // A folder that takes no file is told at once.
        whole_file::beside(path).map_err(|error| failure(path, &error.kind()))?;
        Ok(Self { path: path.to_owned(), replaces })
    }

    /// Writes the plan, which was made not before `at` by the database's clock.
    pub(super) fn write(
        &self,
        report: &DropReport<'_>,
        plan: &DropPlan,
        at: Timestamp,
        backend: Backend,
    ) -> Result<(), Failure> {
        let write = || -> io::Result<()> {
            let mut file = whole_file::beside(&self.path)?;
            write_plan(&mut file, report, plan, at, backend)?;
            file.as_file().sync_all()?;
            let put =
                if self.replaces { file.persist(&self.path) } else { file.persist_noclobber(&self.path) };
            put.map(drop).map_err(|failed| failed.error)
        };
        write().map_err(|error| failure(&self.path, &error))
    }
}

fn failure(path: &Path, reason: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format_args!(
        "cannot write {}: {reason}; nothing there was changed, choose another place for --plan-out",
        path.display()
    ))
}

fn write_plan(
    out: &mut dyn Write,
    report: &DropReport<'_>,
    plan: &DropPlan,
    at: Timestamp,
    backend: Backend,
) -> io::Result<()> {
    writeln!(out, "{MARK}\n\n# DO NOT MERGE: drop the legacy columns of projects_project\n")?;
    head(report, plan, at).write_markdown(out)?;
    writeln!(out)?;
    let gates = sections::gates(Document::new().heading("Gates"), plan);
    sections::what_goes(gates.heading("What goes, and what is kept"), plan, false).write_markdown(out)?;
    writeln!(out)?;
    waivers(plan).write_markdown(out)?;
    writeln!(
        out,
        "\n## The SQL that will run\n\nUnder the locks on all three tables, after every gate was asked again and every \
         project was found in the archive, migration {DROP} runs. It fails without the permit that this one \
         transaction holds:\n\n```sql\n{}\n```\n",
        DROP.up(backend).trim()
    )?;
    to_do_it(report, plan, at).write_markdown(out)?;
    writeln!(out)?;
    to_go_back(plan).write_markdown(out)
}

fn head(report: &DropReport<'_>, plan: &DropPlan, at: Timestamp) -> Document {
    let state = if plan.is_open() {
        "Every gate is open.".to_owned()
    } else {
        let shut: Vec<String> = plan.shut().map(|result| result.gate.to_string()).collect();
        format!("Refused as it stands: {}.", shut.join(", "))
    };
    Document::new()
        .paragraph(format!("Label: `{LABEL}`. {state}"))
        .paragraph(format!(
            "Planned for {} at {} by sti-migrate {}. Nothing has been changed, and merging this changes nothing: the \
             columns go when somebody types the command at the end.",
            report.target,
            utc(at),
            env!("CARGO_PKG_VERSION"),
        ))
        .heading("Depends on the production rollout")
        .paragraph("Not before all of this is so in production, and has been for as long as the slowest job takes to come round:")
        .list([
            "[ ] The backfill is complete, drafts included: `sti status`",
            "[ ] Every service, job and script that writes projects runs with `ENABLE_STI=subtype`",
            "[ ] `sti-verify` is clean, and was clean each time it was run since",
            "[ ] `sti gate` says go: no rollback trigger of the rollout has fired",
            "[ ] A backup was made and restored elsewhere",
            "[ ] The drop was rehearsed on this database, and the time under the locks is acceptable",
        ])
}

/// What was waived, with what was found.
fn waivers(plan: &DropPlan) -> Document {
    let document = Document::new().heading("Waivers");
    if plan.waivers.is_empty() {
        return document.paragraph("None.");
    }
    let table = plan.waivers.iter().fold(
        Table::new(["gate", "allowed", "found", "what is given up"]),
        |table, waiver| {
            let found = plan.gate(waiver.gate()).filter(|result| result.verdict != Verdict::NotAsked);
            table.row([
                waiver.gate().to_string(),
                number(waiver.allowed()),
                found.map_or_else(|| "-".to_owned(), |result| number(result.found)),
                "a place in the subtype rows; the archive alone keeps these values".to_owned(),
            ])
        },
    );
    document.paragraph("Recorded with the drop, and refused when more is found than is allowed:").table(table)
}

fn to_do_it(report: &DropReport<'_>, plan: &DropPlan, at: Timestamp) -> Document {
    let document = Document::new().heading("To do it");
    if !plan.is_open() {
        return document
            .paragraph("Not while a gate is shut. Mend what the gates name, then make the plan again:")
            .command(report.command("--plan-out FILE"));
    }
    let until = Timestamp(at.0 + VALID);
    document
        .paragraph("First, to see how long the locks are held (everything is rolled back):")
        .command(report.command("--rehearse"))
        .paragraph(format!(
            "The digest of this plan is {}, good until {} as long as database, schema, verdicts, waivers and version \
             are the same. Later, make the plan again and have it read again. To drop the columns:",
            plan.digest,
            utc(until),
        ))
        .command(report.command(&format!("--execute --confirm {}", plan.digest)))
}

fn to_go_back(plan: &DropPlan) -> Document {
    Document::new()
        .heading("To go back")
        .paragraph("While services go on; each step commits by itself, and after an interruption the same command goes on:")
        .list(plan.way_back.iter().map(String::as_str))
        .command("sti-migrate restore-legacy && sti-verify")
        .paragraph("Once every service writes both sides again (ENABLE_STI=true):")
        .command("sti-migrate restore-legacy --finish")
        .paragraph("Until sti-migrate archive purge nothing of the old values is gone.")
}
