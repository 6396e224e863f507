//! What `sti-migrate sync` reports.

use serde::Serialize;
use sti_cli::{Document, Report, Target};
use sti_core::sync::{Blocker, Install, Installed, Remove, SyncStatus};

/// Which command, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage<'a> {
    Install(&'a Install),
    /// What is there, and what keeps the rest from being made.
    Status(&'a SyncStatus, &'a [Blocker]),
    Remove(&'a Remove),
}

/// The report of all three.
pub(super) struct SyncReport<'a> {
    target: String,
    stage: Stage<'a>,
}

#[derive(Serialize)]
struct Json<'a> {
    target: &'a str,
    /// `installed`, `already`, `refused`; `in_place`, `in_part`, `none`; `removed`, `nothing`.
    outcome: &'static str,
    /// What stands in the way.
    blockers: Vec<String>,
    /// What is wrong with the triggers, or was, before they were mended.
    problems: &'a [String],
    attempts: Option<u32>,
    next: Vec<&'static str>,
}

impl<'a> SyncReport<'a> {
    pub(super) fn new(target: &Target, stage: Stage<'a>) -> Self {
        Self { target: target.url.to_string(), stage }
    }

    fn outcome(&self) -> &'static str {
        match self.stage {
            Stage::Install(Install::Done { .. }) => "installed",
            Stage::Install(Install::Already) => "already",
            Stage::Install(Install::Refused(_)) => "refused",
            Stage::Status(status, _) => match status.installed {
                Installed::Yes => "in_place",
                Installed::InPart => "in_part",
                Installed::No => "none",
            },
            Stage::Remove(Remove::Done { .. }) => "removed",
            Stage::Remove(Remove::Nothing) => "nothing",
        }
    }

    fn verdict(&self) -> &'static str {
        match self.outcome() {
            "installed" => {
                "Installed: what a writer of the legacy columns writes from now on reaches the subtype rows. Rows that \
                 were missing or differed before are as they were."
            }
            "already" => "Nothing to do: the sync triggers are there, as they should be.",
            "refused" => "Refused: this stands in the way, and nothing was changed.",
            "in_place" => {
                "The sync triggers are there, as they should be: the subtype rows get what is written to the legacy \
                 columns."
            }
            "in_part" => {
                "The sync triggers are not as they should be: what is written to the legacy columns may not reach the \
                 subtype rows."
            }
            "none" if !self.blockers().is_empty() => {
                "There are no sync triggers, and none can be made as things are:"
            }
            "none" => {
                "There are no sync triggers: a writer that does not embed the library leaves the subtype rows behind."
            }
            "removed" => {
                "Removed: a writer that writes the legacy columns only leaves the subtype rows behind from now on."
            }
            _ => "Nothing to do: there are no sync triggers.",
        }
    }

    fn blockers(&self) -> &'a [Blocker] {
        match self.stage {
            Stage::Install(Install::Refused(blockers)) => blockers,
            Stage::Status(_, blockers) => blockers,
            _ => &[],
        }
    }

    fn problems(&self) -> &'a [String] {
        match self.stage {
            Stage::Install(Install::Done { mended, .. }) => mended,
            Stage::Status(status, _) => &status.problems,
            Stage::Install(_) | Stage::Remove(_) => &[],
        }
    }

    const fn attempts(&self) -> Option<u32> {
        match self.stage {
            Stage::Install(Install::Done { attempts, .. }) | Stage::Remove(Remove::Done { attempts }) => {
                Some(*attempts)
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<&'static str> {
        match self.outcome() {
            "installed" => vec!["sti backfill --include-drafts", "sti-verify"],
            "in_part" if self.blockers().is_empty() => vec!["sti-migrate sync install", "sti-verify"],
            "none" if self.blockers().is_empty() => vec!["sti-migrate sync install"],
            "refused" | "in_part" | "none" => {
                let mut next = Vec::new();
                for command in self.blockers().iter().flat_map(Blocker::fix).copied() {
                    if !next.contains(&command) {
                        next.push(command);
                    }
                }
                if !next.is_empty() {
                    next.push("sti-migrate sync install");
                }
                next
            }
            _ => Vec::new(),
        }
    }
}

impl Report for SyncReport<'_> {
    fn document(&self) -> Document {
        let mut document = Document::new().paragraph(self.verdict());
        if !self.blockers().is_empty() {
            document = document.list(self.blockers().iter().map(ToString::to_string));
        }
        if !self.problems().is_empty() {
            if self.outcome() == "installed" {
                document = document.paragraph("Mended:");
            }
            document = document.list(self.problems().iter().cloned());
        }
        let next = self.next();
        if !next.is_empty() {
            document = document.paragraph("Next:");
        }
        next.into_iter().fold(document, Document::command)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(Json {
            target: &self.target,
            outcome: self.outcome(),
            blockers: self.blockers().iter().map(ToString::to_string).collect(),
            problems: self.problems(),
            attempts: self.attempts(),
            next: self.next(),
        })
    }
}
