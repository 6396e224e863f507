//! What `sti-migrate restore-legacy` reports.

use serde::Serialize;
use sti_cli::{Document, Report, Target, number};
use sti_core::ProjectId;
use sti_core::backfill::Scope;
use sti_core::contract::restore::{Refilled, Restoration, Restored};
use sti_core::db::sql_types::Timestamp;
use sti_core::verify::{Class, Severity, VerifyReport};

/// What came of a restore.
pub(super) struct RestoreReport<'a> {
    target: String,
    restoration: &'a Restoration,
}

#[derive(Serialize)]
struct Json<'a> {
    target: &'a str,
    /// `done`, `already`, `not_verified`, `stopped` or `refused`.
    outcome: &'static str,
    refused_because: Option<&'static str>,
    event: Option<i64>,
    /// Projects in the archive, and how many of them are left of those that were archived where they differ.
    archived: Option<i64>,
    archive_found: Option<i64>,
    added: Option<&'a [&'static str]>,
    widened: Vec<String>,
    attempts: Option<u32>,
    resumed_after: Option<String>,
    refilled: Option<RefilledJson>,
    verified: Option<i64>,
    findings: Vec<FindingJson>,
    /// Whether triggers of the restore are there.
    triggers: bool,
    /// When a trigger last had something to bring over, if it ever had.
    levelled_at: Option<String>,
    next: Vec<&'static str>,
}

#[derive(Serialize)]
struct RefilledJson {
    chunks: i64,
    projects: i64,
    archived: i64,
    changed: i64,
    superseded: i64,
    left: i64,
    beside_empty: i64,
}

#[derive(Serialize)]
struct FindingJson {
    class: &'static str,
    total: i64,
    ids: Vec<String>,
}

impl<'a> RestoreReport<'a> {
    pub(super) fn new(target: &Target, restoration: &'a Restoration) -> Self {
        Self { target: target.url.to_string(), restoration }
    }

    fn restored(&self) -> Option<&Restored> {
        match self.restoration {
            Restoration::Done(restored)
            | Restoration::Stopped(restored)
            | Restoration::NotVerified { restored, .. } => Some(restored),
            Restoration::NothingDropped
            | Restoration::ArchiveIncomplete { .. }
            | Restoration::NotBegun { .. }
            | Restoration::Already { .. } => None,
        }
    }

    fn verdict(&self) -> String {
        match self.restoration {
            Restoration::Done(restored) => format!(
                "Restored: the legacy columns are back and filled, and both sides of all {} projects agree.",
                number(restored.verified)
            ),
            Restoration::Already { event, triggers: true, .. } => format!(
                "Nothing to do: drop {} is restored already. Its triggers are still there.",
                event.id
            ),
            Restoration::Already { event, triggers: false, .. } => format!(
                "Nothing to do: drop {} is restored already, and no trigger of the restore is left.",
                event.id
            ),
            Restoration::NotVerified { report, .. } => format!(
                "Not restored: the legacy columns are back and filled, and both sides of {} do not agree. Until they \
                 do, services read the subtype rows, legacy mode does not start, and the triggers stay.",
                counted(report.affected, "project")
            ),
            Restoration::Stopped(_) => {
                "Stopped, as asked: some projects are not refilled yet. Services go on reading the subtype rows."
                    .to_owned()
            }
            Restoration::NotBegun { event } => format!(
                "Stopped, as asked, before the first step of taking drop {event} back. Nothing was changed."
            ),
            Restoration::NothingDropped => {
                "Refused: the legacy columns are there and no drop is on record, so there is nothing to restore. \
                 Nothing was changed."
                    .to_owned()
            }
            Restoration::ArchiveIncomplete { event, expected, found } => format!(
                "Refused: drop {event} archived {} projects, and the archive holds {}. What is missing would come \
                 back empty. Nothing was changed.",
                number(*expected),
                number(*found)
            ),
        }
    }

    fn next(&self) -> Vec<&'static str> {
        const AGAIN: &str = "sti-migrate restore-legacy";
        match self.restoration {
            Restoration::Done(_) | Restoration::Already { triggers: true, .. } => {
                vec!["sti-migrate restore-legacy --finish"]
            }
            Restoration::Already { triggers: false, .. } => Vec::new(),
            Restoration::NothingDropped => vec!["sti-migrate status"],
            Restoration::ArchiveIncomplete { .. }
            | Restoration::NotBegun { .. }
            | Restoration::Stopped(_) => vec![AGAIN],
            Restoration::NotVerified { report, .. } => {
                let any = |classes: &[Class]| classes.iter().any(|class| report.count(*class) > 0);
                let mut next = Vec::new();
                if any(&[Class::Missing]) {
                    next.push(Scope::NonDraft.command());
                }
                if any(&[Class::MissingDraft]) {
                    next.push(Scope::All.command());
                }
                if any(&[Class::Drift, Class::BothKinds]) {
                    next.push("sti-verify --repair --from subtype");
                }
                if any(&[Class::WrongKind, Class::OrphanSchool, Class::OrphanSelfStudy]) {
                    next.push("sti-verify");
                }
                next.push(AGAIN);
                next
            }
        }
    }

    fn explained(&self, document: Document) -> Document {
        match self.restoration {
            Restoration::Done(_) | Restoration::Already { triggers: true, .. } => document
                .paragraph(
                    "The triggers still bring to the columns what is written to subtype rows only. Services that use \
                     sti-core notice the columns within 5 s and write both sides again. The triggers note when they \
                     last had to help, and --finish is refused while somebody still needs them:",
                ),
            Restoration::NotVerified { .. } => document.paragraph(
                "Mend what was found, then run the restore again: it only compares, for nothing is left to refill. \
                 The subtype rows are what users see now.",
            ),
            Restoration::ArchiveIncomplete { .. } => document.paragraph(
                "Bring the rows of sti_legacy_archive back from a backup of the database, then run it again.",
            ),
            Restoration::NotBegun { .. } => document.paragraph("To begin:"),
            Restoration::Stopped(_) => document.paragraph("To go on:"),
            Restoration::NothingDropped | Restoration::Already { .. } => document,
        }
    }
}

impl Report for RestoreReport<'_> {
    fn document(&self) -> Document {
        let mut document = Document::new().paragraph(self.verdict());
        if let Some(restored) = self.restored() {
            document = document.list(lines(restored));
        }
        if let Restoration::Already { levelled_at: Some(at), .. } = self.restoration {
            document = document.list([format!(
                "a subtype row was last written without the legacy columns at {}",
                moment(*at)
            )]);
        }
        if let Restoration::NotVerified { report, .. } = self.restoration {
            document = document.heading("What does not agree").list(findings(report).map(finding_line));
        }
        let document = self.explained(document);
        self.next().into_iter().fold(document, Document::command)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let (outcome, refused_because) = match self.restoration {
            Restoration::Done(_) => ("done", None),
            Restoration::Already { .. } => ("already", None),
            Restoration::NotVerified { .. } => ("not_verified", None),
            Restoration::Stopped(_) | Restoration::NotBegun { .. } => ("stopped", None),
            Restoration::NothingDropped => ("refused", Some("nothing_dropped")),
            Restoration::ArchiveIncomplete { .. } => ("refused", Some("archive_incomplete")),
        };
        let (event, archived, found) = match self.restoration {
            Restoration::ArchiveIncomplete { event, expected, found } => {
                (Some(*event), Some(*expected), Some(*found))
            }
            Restoration::Already { event, .. } => (Some(event.id), event.archived, None),
            Restoration::NotBegun { event } => (Some(*event), None, None),
            _ => (self.restored().map(|r| r.event), self.restored().and_then(|r| r.archived), None),
        };
        let began = self.restored().and_then(|restored| restored.began.as_ref());
        let report =
            if let Restoration::NotVerified { report, .. } = self.restoration { Some(report) } else { None };
        serde_json::to_value(Json {
            target: &self.target,
            outcome,
            refused_because,
            event,
            archived,
            archive_found: found,
            added: began.map(|began| began.added.as_slice()),
            widened: began.iter().flat_map(|began| &began.widened).map(ToString::to_string).collect(),
            attempts: began.map(|began| began.attempts),
            resumed_after: self.restored().and_then(|r| r.resumed_after).map(|id| id.to_string()),
            refilled: self.restored().map(|restored| refilled_json(restored.refilled)),
            verified: self.restored().map(|restored| restored.verified).filter(|_| outcome == "done"),
            findings: report.into_iter().flat_map(|report| findings(report)).collect(),
            triggers: self.restored().is_some()
                || matches!(self.restoration, Restoration::Already { triggers: true, .. }),
            levelled_at: match self.restoration {
                Restoration::Already { levelled_at, .. } => levelled_at.map(moment),
                _ => None,
            },
            next: self.next(),
        })
    }
}

fn moment(at: Timestamp) -> String {
    at.0.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn counted(count: i64, thing: &str) -> String {
    format!("{} {thing}{}", number(count), if count == 1 { "" } else { "s" })
}

/// What this call did, each in one line.
fn lines(restored: &Restored) -> Vec<String> {
    let Restored { event, archived, began, resumed_after, refilled, .. } = restored;
    let mut lines = vec![match archived {
        Some(archived) => format!("drop {event}, whose archive holds {}", counted(*archived, "project")),
        None => format!("drop {event}, which has no archive: all values come from the subtype rows"),
    }];
    match began {
        Some(began) if began.added.is_empty() => {
            lines.push(
                "the columns were there; the triggers were made, and all projects are refilled".to_owned(),
            );
        }
        Some(began) => lines.push(format!("columns added, with triggers: {}", began.added.join(", "))),
        None => lines.push("columns and triggers were there from an earlier call".to_owned()),
    }
    lines.extend(began.iter().flat_map(|began| &began.widened).map(ToString::to_string));
    let Refilled { chunks, projects: seen, archived, changed, superseded, left, beside_empty } = *refilled;
    let behind = match resumed_after {
        None => String::new(),
        Some(ProjectId::MAX) => ", for all were refilled before".to_owned(),
        Some(id) => format!(", going on behind {id}"),
    };
    lines.push(format!(
        "refilled by this command: {} in {}{behind}; {} of them in the archive, {} changed",
        counted(seen, "project"),
        counted(chunks, "chunk"),
        number(archived),
        number(changed)
    ));
    if superseded > 0 {
        lines.push(format!(
            "archived values that were not put back, for the subtype row has been changed since or has gone: {}; they \
             stay in the archive",
            number(superseded)
        ));
    }
    if left > 0 {
        lines.push(format!(
            "values that somebody else has written to the columns since they came back, left as they are: {}",
            number(left)
        ));
    }
    if beside_empty > 0 {
        lines.push(format!(
            "archived values that came back beside an empty field of a row made since the drop: {}; the row is right \
             (--from subtype), or lacks the value (--from legacy)",
            number(beside_empty)
        ));
    }
    lines
}

fn refilled_json(refilled: Refilled) -> RefilledJson {
    let Refilled { chunks, projects, archived, changed, superseded, left, beside_empty } = refilled;
    RefilledJson { chunks, projects, archived, changed, superseded, left, beside_empty }
}

fn findings(report: &VerifyReport) -> impl Iterator<Item = FindingJson> + '_ {
    report.of_severity(Severity::Finding).filter(|count| count.total > 0).map(|count| {
        let samples = report.samples.iter().filter(|sample| sample.class == count.class);
        FindingJson {
            class: count.class.as_str(),
            total: count.total,
            ids: samples.flat_map(|sample| &sample.projects).map(|project| project.id.to_string()).collect(),
        }
    })
}

fn finding_line(finding: FindingJson) -> String {
    let FindingJson { class, total, ids } = finding;
    let more = if total > i64::try_from(ids.len()).unwrap_or(i64::MAX) { ", …" } else { "" };
    format!("{class}: {} ({}{more})", number(total), ids.join(", "))
}
