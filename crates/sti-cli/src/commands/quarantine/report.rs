//! What `sti quarantine` reports.

use serde::Serialize;
use sti_cli::{Document, Exit, Report, Table, Target, number};
use sti_core::backfill::{Quarantine, Retried, Totals};
use sti_core::models::ProjectId;

/// What is in quarantine.
#[derive(Debug, Serialize)]
pub(crate) struct ListReport {
    target: String,
    total: i64,
    classes: Vec<Class>,
    projects: Vec<Project>,
}

#[derive(Debug, Serialize)]
struct Class {
    class: String,
    projects: i64,
}

#[derive(Debug, Serialize)]
struct Project {
    project: String,
    kind: String,
    class: String,
    message: String,
    run: i64,
    at: String,
}

impl ListReport {
    pub(crate) fn new(target: &Target, found: &Quarantine) -> Self {
        let class = |(class, projects): &(String, i64)| Class { class: class.clone(), projects: *projects };
        let projects = found.projects.iter().map(|project| Project {
            project: project.project.to_string(),
            kind: project.kind.clone(),
            class: project.class.clone(),
            message: project.message.clone(),
            run: project.run.0,
            at: project.at.0.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        Self {
            target: target.url.to_string(),
            total: found.total(),
            classes: found.classes.iter().map(class).collect(),
            projects: projects.collect(),
        }
    }
}

impl Report for ListReport {
    fn document(&self) -> Document {
        if self.total == 0 {
            return Document::new().paragraph("No project is in quarantine.");
        }
        let mut classes = Table::new(["class", "projects"]);
        for class in &self.classes {
            classes = classes.row([class.class.clone(), number(class.projects)]);
        }
        let mut projects = Table::new(["project", "kind", "class", "run", "what the database said"]);
        for project in &self.projects {
            projects = projects.row([
                project.project.clone(),
                project.kind.clone(),
                project.class.clone(),
                number(project.run),
                project.message.clone(),
            ]);
        }
        let document = Document::new()
            .paragraph(format!("{} projects are in quarantine: they have no row.", number(self.total)))
            .table(classes)
            .table(projects);
        let shown = i64::try_from(self.projects.len()).unwrap_or(i64::MAX);
        let document = if shown < self.total {
            document.paragraph(format!("The first {} are listed; --limit lists more.", number(shown)))
        } else {
            document
        };
        document
            .paragraph("When the values or the rule are mended:")
            .command("ENABLE_STI=true sti quarantine retry")
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}

/// What a retry did.
#[derive(Debug, Serialize)]
pub(crate) struct RetryReport {
    target: String,
    /// The one that was asked for, if it was one.
    project: Option<String>,
    /// Whether that one is not in quarantine, so that nothing was tried.
    not_in_quarantine: bool,
    totals: Totals,
    gone: i64,
    /// Somebody asked it to stop.
    stopped: bool,
}

impl RetryReport {
    pub(crate) fn new(target: &Target, project: Option<ProjectId>, retried: &Retried) -> Self {
        let Retried { totals, gone, stopped } = *retried;
        let not_in_quarantine = project.is_some() && !stopped && retried.tried() == 0;
        let project = project.map(|id| id.to_string());
        Self { target: target.url.to_string(), project, not_in_quarantine, totals, gone, stopped }
    }

    /// What the command answers with.
    pub(crate) fn exit(&self) -> Exit {
        let refused = self.totals.error.total() > 0 || self.totals.conflict.total() > 0;
        match self.stopped {
            true => Exit::Stopped,
            false if refused || self.not_in_quarantine => Exit::Negative,
            false => Exit::Done,
        }
    }
}

impl Report for RetryReport {
    fn document(&self) -> Document {
        if let (true, Some(project)) = (self.not_in_quarantine, &self.project) {
            return Document::new()
                .paragraph(format!("Project {project} is not in quarantine; nothing was tried. See what is:"))
                .command("sti quarantine list");
        }
        let Totals { created, equal, conflict, unknown, error, .. } = self.totals;
        let row = |what: &str, count: i64| [what.to_owned(), number(count)];
        let table = Table::new(["outcome", "projects"])
            .row(row("created", created.total()))
            .row(row("row is there by now and equal", equal.total()))
            .row(row("row is there by now and differs", conflict.total()))
            .row(row("unknown type by now", unknown))
            .row(row("deleted, or no longer in scope", self.gone))
            .row(row("still refused, in quarantine", error.total()));
        if self.stopped {
            return Document::new()
                .table(table)
                .paragraph("Stopped, as it was asked to; the others were not tried. The same command tries all that are left.");
        }
        let (verdict, command) = match (error.total(), conflict.total()) {
            (0, 0) if self.project.is_some() => ("It is in quarantine no more. Next:", "sti-verify"),
            (0, 0) => ("The quarantine is empty, as far as it was tried. Next:", "sti-verify"),
            (0, _) => ("Some rows were made by somebody else, with other values. See which:", "sti-verify"),
            _ => ("Some are still refused. See why:", "sti quarantine list"),
        };
        Document::new().table(table).paragraph(verdict).command(command)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}
