//! What `sti-migrate drop-legacy` reports, for people.

use std::fmt::Write as _;

use sti_cli::{Document, Target, number};
use sti_core::contract::{Blocked, DropOptions, DropPlan, Leftovers, Outcome, Refusal, Rehearsal, Waiver};

use super::words::{another, attempts, done, is_of_the_moment, one_line, refused, seconds, valid};
use super::{json, sections};
use crate::commands::leftovers;

/// What is left where that could not be asked.
const NOT_SEEN: &str = "what it is could not be seen: triggers of the change log, which go on logging what is written, and \
                        archived rows may be there; in a minute sti-migrate status shows it, and sti-migrate up takes \
                        it away";

/// How far it came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage<'a> {
    Shown(&'a DropPlan),
    Rehearsal(&'a Rehearsal),
    /// With the digest that was given.
    Drop(&'a Outcome, &'a str),
}

/// The report of all three.
#[derive(Debug)]
pub(super) struct DropReport<'a> {
    pub(super) target: String,
    pub(super) how: &'a DropOptions,
    pub(super) stage: Stage<'a>,
    /// What could not be taken away of what this command had begun; `None` if that cannot be known.
    pub(super) left: Option<Leftovers>,
}

impl<'a> Stage<'a> {
    /// The plan, where there is one.
    pub(super) fn plan(self) -> Option<&'a DropPlan> {
        match self {
            Self::Shown(plan) => Some(plan),
            Self::Rehearsal(
                Rehearsal::Refused { plan, .. }
                | Rehearsal::Blocked(Blocked { plan, .. })
                | Rehearsal::Rehearsed { plan, .. },
            )
            | Self::Drop(Outcome::Refused { plan, .. } | Outcome::Blocked(Blocked { plan, .. }), _) => {
                Some(plan)
            }
            Self::Drop(Outcome::Done(dropped), _) => dropped.plan.as_deref(),
            Self::Rehearsal(Rehearsal::NotDone { .. })
            | Self::Drop(Outcome::NotDone { .. } | Outcome::Unknown { .. }, _) => None,
        }
    }

    /// Why it was refused.
    pub(super) fn refusal(self) -> Option<&'a Refusal> {
        match self {
            Self::Shown(plan) if !plan.is_open() => Some(&Refusal::Gates),
            Self::Rehearsal(Rehearsal::Refused { why, .. }) | Self::Drop(Outcome::Refused { why, .. }, _) => {
                Some(why)
            }
            _ => None,
        }
    }

    pub(super) fn blocked(self) -> Option<&'a Blocked> {
        match self {
            Self::Rehearsal(Rehearsal::Blocked(blocked)) | Self::Drop(Outcome::Blocked(blocked), _) => {
                Some(blocked)
            }
            _ => None,
        }
    }
}

impl<'a> DropReport<'a> {
    pub(super) fn new(
        target: &Target,
        how: &'a DropOptions,
        stage: Stage<'a>,
        left: Option<Leftovers>,
    ) -> Self {
        Self { target: target.url.to_string(), how, stage, left }
    }

    /// Lines that say what is left, if anything.
    pub(super) fn left_behind(&self) -> Vec<String> {
        self.left.as_ref().map_or_else(|| vec![NOT_SEEN.to_owned()], leftovers::lines)
    }

    fn left(&self, document: Document) -> Document {
        let lines = self.left_behind();
        if lines.is_empty() {
            return document;
        }
        document.paragraph("Left behind, until the next rehearsal or drop, or sti-migrate up:").list(lines)
    }

    /// The command with the waivers and limits of this one, and `rest`.
    pub(super) fn command(&self, rest: &str) -> String {
        format!("{} {rest}", self.command_waiving(&[])).trim_end().to_owned()
    }

    /// The command with these waivers in the place of its own for the same gates.
    fn command_waiving(&self, waivers: &[Waiver]) -> String {
        let mut command = "sti-migrate drop-legacy".to_owned();
        let own = self.how.waivers().iter().filter(|own| waivers.iter().all(|new| new.gate() != own.gate()));
        for waiver in own.chain(waivers) {
            let _ = write!(command, " --waive {waiver}");
        }
        if self.how.max_lock != DropOptions::default().max_lock {
            let ms = self.how.max_lock.as_millis();
            let _ = if ms.is_multiple_of(1000) {
                write!(command, " --max-lock {}s", ms / 1000)
            } else {
                write!(command, " --max-lock {ms}ms")
            };
        }
        command
    }

    /// What to type next, if anything.
    pub(super) fn next(&self) -> Option<String> {
        let execute = |digest: &str| self.command(&format!("--execute --confirm {digest}"));
        match self.stage {
            Stage::Shown(plan) if plan.is_open() => Some(self.command("--rehearse")),
            Stage::Rehearsal(Rehearsal::Rehearsed { plan, .. }) => Some(execute(&plan.digest)),
            Stage::Rehearsal(Rehearsal::Blocked(_) | Rehearsal::NotDone { .. }) => {
                Some(self.command("--rehearse"))
            }
            Stage::Rehearsal(Rehearsal::Refused { why, .. }) if is_of_the_moment(why) => {
                Some(self.command("--rehearse"))
            }
            Stage::Drop(Outcome::Refused { plan, .. }, _) if plan.is_open() => Some(execute(&plan.digest)),
            Stage::Drop(Outcome::Blocked(_) | Outcome::NotDone { .. } | Outcome::Unknown { .. }, digest) => {
                Some(execute(digest))
            }
            Stage::Drop(Outcome::Done(_), _) => None,
            Stage::Shown(_)
            | Stage::Rehearsal(Rehearsal::Refused { .. })
            | Stage::Drop(Outcome::Refused { .. }, _) => Some(self.command("")),
        }
    }

    /// What was changed by a command that has not dropped anything.
    fn changed(&self) -> &'static str {
        match &self.left {
            Some(left) if left.is_empty() => "Nothing has been changed.",
            Some(left) if !left.triggers.is_empty() => {
                "No project and no column was changed, but triggers are left behind."
            }
            _ => "No project and no column was changed.",
        }
    }

    fn verdict(&self) -> String {
        let changed = self.changed();
        match self.stage {
            Stage::Shown(plan) if plan.is_open() => {
                format!("Drop of the legacy columns: the plan. Every gate is open. {changed}")
            }
            Stage::Rehearsal(Rehearsal::Rehearsed { held, .. }) => format!(
                "Rehearsed: the drop went through, with {} under the locks, and was rolled back. {changed}",
                seconds(*held)
            ),
            Stage::Rehearsal(Rehearsal::NotDone { .. }) => {
                format!("Not rehearsed: the connection was lost before it was through. {changed}")
            }
            Stage::Drop(Outcome::Done(dropped), _) => done(dropped),
            Stage::Drop(Outcome::NotDone { .. }, _) => {
                format!("Not done: the connection was lost, and the drop was not made. {changed}")
            }
            Stage::Drop(Outcome::Unknown { .. }, _) => {
                "Unknown: the connection was lost at COMMIT, and the database could not be asked what became of it."
                    .to_owned()
            }
            stage => match (stage.refusal(), stage.blocked()) {
                (_, Some(blocked)) if blocked.by_another_drop => {
                    format!("Blocked: another drop or rehearsal is at work. {changed}")
                }
                (_, Some(blocked)) => {
                    format!("Blocked: the locks were not to be had in {}. {changed}", attempts(blocked.attempts))
                }
                (Some(why), None) => format!("Refused: {}. {changed}", refused(why, stage.plan())),
                (None, None) => changed.to_owned(),
            },
        }
    }

    /// What happened, below the verdict and above the gates.
    fn happened(&self, document: Document) -> Document {
        match self.stage {
            Stage::Rehearsal(Rehearsal::Rehearsed { archived, attempts: tried, .. }) => document.paragraph(format!(
                "{} rows were archived and the columns dropped, in {}; then all of it was taken back.",
                number(*archived),
                attempts(*tried)
            )),
            Stage::Drop(Outcome::Done(dropped), _) => document.paragraph(format!(
                "Drop event {}: {} rows are in sti_legacy_archive, one for each project; the locks were held for {}.",
                dropped.event,
                number(dropped.archived),
                seconds(dropped.held)
            )),
            Stage::Rehearsal(Rehearsal::NotDone { reason }) | Stage::Drop(Outcome::NotDone { reason }, _) => {
                document.list([one_line(&format!("when the connection was lost: {reason}"))])
            }
            Stage::Drop(Outcome::Unknown { event, reason, seen }, _) => document.list([
                one_line(&format!("when the connection was lost: {reason}")),
                one_line(&format!("afterwards: {seen}")),
                format!("if the drop was made, it is event {event} in sti_drop_event"),
            ]),
            stage => match stage.blocked() {
                Some(blocked) => {
                    if blocked.by_another_drop {
                        return document.paragraph("It is:").list(blocked.holders.iter().map(another));
                    }
                    let document = document.paragraph(format!("The last attempt ended with: {}", blocked.reason));
                    if blocked.holders.is_empty() {
                        return document;
                    }
                    document
                        .paragraph("In the way, right after it:")
                        .list(blocked.holders.iter().map(ToString::to_string))
                }
                None => document,
            },
        }
    }

    fn after(&self, document: Document) -> Document {
        let Some(next) = self.next() else {
            let document = document
                .paragraph("Services in dual and subtype mode go on; legacy mode refuses to start now.");
            return match self.stage.plan() {
                Some(_) => document,
                None => document.paragraph("To go back:").command("sti-migrate restore-legacy"),
            };
        };
        let why = match self.stage {
            Stage::Shown(plan) if plan.is_open() => {
                return document
                    .paragraph("Next, to see how long the locks are held:")
                    .command(next)
                    .paragraph(format!(
                        "The digest of this plan is {}, {}. To drop the columns:",
                        plan.digest,
                        valid()
                    ))
                    .command(self.command(&format!("--execute --confirm {}", plan.digest)));
            }
            Stage::Rehearsal(Rehearsal::Rehearsed { plan, .. }) => {
                format!("The digest of this plan is {}, {}. To drop the columns:", plan.digest, valid())
            }
            stage if stage.refusal().is_some_and(is_of_the_moment) => {
                "Nothing needs to be mended. Again, at a quieter time, or for a longer lock with --max-lock:"
                    .to_owned()
            }
            Stage::Drop(Outcome::Refused { plan, .. }, _) if plan.is_open() => {
                format!(
                    "This is the plan of now; its digest is {}, {}. To drop the columns:",
                    plan.digest,
                    valid()
                )
            }
            stage if stage.blocked().is_some_and(|blocked| blocked.by_another_drop) => {
                "Wait until it is through (sti-migrate status shows what it came to), then:".to_owned()
            }
            Stage::Rehearsal(Rehearsal::Blocked(_)) | Stage::Drop(Outcome::Blocked(_), _) => {
                "End these transactions or wait for them, then again:".to_owned()
            }
            Stage::Rehearsal(Rehearsal::NotDone { .. }) | Stage::Drop(Outcome::NotDone { .. }, _) => {
                "Once the server is reached again:".to_owned()
            }
            Stage::Drop(Outcome::Unknown { .. }, _) => {
                "Once the server is reached again, the same command says what became of it, or does it:"
                    .to_owned()
            }
            _ => "Mend what the gates name, then:".to_owned(),
        };
        self.with_waivers(document.paragraph(why).command(next))
    }

    /// The command that waives what is shut, where all of it may be waived.
    fn with_waivers(&self, document: Document) -> Document {
        let Some(plan) = self.stage.plan() else { return document };
        let waivers =
            plan.shut().map(|result| Waiver::new(result.gate, u32::try_from(result.found).ok()?).ok());
        match waivers.collect::<Option<Vec<Waiver>>>() {
            Some(waivers) if !waivers.is_empty() => document
                .paragraph("Or, if nothing but the archive needs to keep these values:")
                .command(self.command_waiving(&waivers)),
            _ => document,
        }
    }
}

impl sti_cli::Report for DropReport<'_> {
    fn document(&self) -> Document {
        let mut document = self.left(self.happened(Document::new().heading(self.verdict())));
        if let Some(plan) = self.stage.plan() {
            let is_done = matches!(self.stage, Stage::Drop(Outcome::Done(_), _));
            document = sections::consequences(sections::gates(document, plan), plan, is_done);
        }
        self.after(document)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(json::Report::of(self))
    }
}
