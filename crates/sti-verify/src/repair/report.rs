//! What a repair reports: its plan, its refusal, or what it did.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sti_cli::{Document, Report, Table, Target, number};
use sti_core::verify::repair::{
    Change, ChangeCounts, Direction, Execution, LeftAlone, MAX_POINTERS, Pointer, Refusal, Repair, RepairPlan,
};

use crate::samples;

const ANOTHER_PASS: &str = "A repair is no verification. Run one:";

/// How far it came.
#[derive(Clone, Copy, Debug)]
enum Stage<'a> {
    Planned,
    Refused(&'a Refusal),
    Done(&'a Repair),
    Stopped(&'a Repair),
}

/// The report of `--repair`.
#[derive(Debug)]
pub(crate) struct RepairReport<'a> {
    target: String,
    plan: &'a RepairPlan,
    stage: Stage<'a>,
}

#[derive(Debug, Serialize)]
struct PointerJson {
    project: String,
    column: &'static str,
    points_at: String,
}

impl<'a> RepairReport<'a> {
    pub(crate) fn planned(target: &Target, plan: &'a RepairPlan) -> Self {
        Self { target: target.url.to_string(), plan, stage: Stage::Planned }
    }

    pub(crate) fn executed(target: &Target, execution: &'a Execution) -> Self {
        let target = target.url.to_string();
        match execution {
            Execution::Refused { refusal, plan } => Self { target, plan, stage: Stage::Refused(refusal) },
            Execution::Done(repair) => Self { target, plan: &repair.plan, stage: Stage::Done(repair) },
            Execution::Stopped(repair) => Self { target, plan: &repair.plan, stage: Stage::Stopped(repair) },
        }
    }

    /// What was done, if it began.
    fn done(&self) -> Option<&'a Repair> {
        match self.stage {
            Stage::Done(repair) | Stage::Stopped(repair) => Some(repair),
            Stage::Planned | Stage::Refused(_) => None,
        }
    }

    /// Pointers of other projects that forbid the repair.
    fn pointers(&self) -> &[Pointer] {
        match self.stage {
            Stage::Done(repair) | Stage::Stopped(repair) => &repair.stopped_by,
            Stage::Planned | Stage::Refused(_) => &self.plan.pointers,
        }
    }

    fn verdict(&self) -> String {
        let side = self.plan.direction;
        match self.stage {
            Stage::Planned if !self.pointers().is_empty() => {
                format!("Repair from {side}: refused, other projects point at rows that would go.")
            }
            Stage::Planned if self.plan.is_empty() => {
                format!("Repair from {side}: there is nothing to do in this direction.")
            }
            Stage::Planned => format!("Repair from {side}: the plan. Nothing has been changed."),
            Stage::Refused(Refusal::AnotherPlan { given }) => format!(
                "Refused: expected the digest {}, found {given}. Nothing has been changed; this is the plan of now.",
                self.plan.digest
            ),
            Stage::Refused(Refusal::Pointers) => {
                "Refused: other projects point at rows that would go. Nothing has been changed.".to_owned()
            }
            Stage::Stopped(_) => format!("Repair from {side}: stopped, as it was asked to."),
            Stage::Done(Repair { stopped_by, changed, .. }) if stopped_by.is_empty() => {
                if changed.total() == 0 {
                    format!("Repair from {side}: there was nothing to do.")
                } else {
                    format!("Repair from {side}: done.")
                }
            }
            Stage::Done(_) => format!(
                "Repair from {side}: ended early, other projects point at rows that would go. The chunk that met \
                 them was rolled back."
            ),
        }
    }

    fn changes(&self) -> Table {
        let (changes, title) = match self.done() {
            Some(repair) => (&repair.changed, "changed"),
            None => (&self.plan.changes, "to change"),
        };
        let mut table = Table::new([title, "school", "self-study", "what it is"]);
        for (change, counts) in changes.iter().filter(|(change, _)| applies(self.plan.direction, *change)) {
            table = table.row([
                change.to_string(),
                number(counts.school),
                number(counts.self_study),
                meaning(change).to_owned(),
            ]);
        }
        table
    }

    fn after(&self, document: Document) -> Document {
        match self.stage {
            Stage::Done(repair) => {
                self.chunks(document, repair).paragraph(ANOTHER_PASS).command("sti-verify")
            }
            Stage::Stopped(repair) => self
                .chunks(document, repair)
                .paragraph("What is left needs a plan of its own:")
                .command(format!("sti-verify --repair --from {}", self.plan.direction)),
            Stage::Planned | Stage::Refused(_) if self.pointers().is_empty() && !self.plan.is_empty() => {
                document
                    .paragraph(format!("The digest of this plan: {}. To carry it out:", self.plan.digest))
                    .command(format!(
                        "sti-verify --repair --from {} --execute --confirm {}",
                        self.plan.direction, self.plan.digest
                    ))
            }
            Stage::Planned | Stage::Refused(_) => document,
        }
    }

    fn chunks(&self, document: Document, repair: &Repair) -> Document {
        if repair.chunks == 0 {
            return document;
        }
        document.paragraph(format!(
            "Chunks committed: {}. Projects or rows that needed nothing any more when they were looked at under the \
             lock: {}. What was changed or deleted is in sti_repair_log as it was before, under the digest {}.",
            number(repair.chunks),
            number(repair.settled),
            self.plan.digest,
        ))
    }
}

impl Report for RepairReport<'_> {
    fn document(&self) -> Document {
        let mut document = Document::new().heading(self.verdict()).table(self.changes());
        document = document.list(self.pointers().iter().map(pointer_text));
        if self.pointers().len() >= MAX_POINTERS {
            document = document.paragraph(format!("At most {MAX_POINTERS} pointers of each kind are named."));
        }
        if !self.pointers().is_empty() {
            document =
                document.paragraph("Set these pointers to NULL, or to rows that stay, and plan again.");
        }
        if self.done().is_none() {
            document = document.list(left_alone(&self.plan.left));
            document = samples::add_to(document, &self.plan.samples);
        }
        self.after(document)
    }

    fn json(&self) -> serde_json::Result<Value> {
        let plan = self.plan;
        let left = &plan.left;
        let stage = match self.stage {
            Stage::Planned => json!({ "is": "planned" }),
            Stage::Refused(Refusal::AnotherPlan { given }) => {
                json!({ "is": "refused", "why": "another_plan", "given": given })
            }
            Stage::Refused(Refusal::Pointers) => json!({ "is": "refused", "why": "pointers" }),
            Stage::Done(repair) if repair.stopped_by.is_empty() => done_json("done", repair),
            Stage::Done(repair) => done_json("stopped", repair),
            Stage::Stopped(repair) => done_json("asked_to_stop", repair),
        };
        let pointers = self.pointers().iter().map(|pointer| PointerJson {
            project: pointer.from.to_string(),
            column: pointer.kind.pointer(),
            points_at: pointer.to.to_string(),
        });
        Ok(json!({
            "target": self.target,
            "from": plan.direction,
            "digest": plan.digest,
            "stage": stage,
            "planned": changes_json(&plan.changes),
            "left_alone": {
                "missing": left.missing,
                "unknown_with_row": left.unknown_with_row,
                "wrong_kind": left.wrong_kind,
                "orphans": left.orphans,
            },
            "pointers": pointers.collect::<Vec<_>>(),
            "samples": samples::json(&plan.samples),
        }))
    }
}

/// Whether a repair in this direction ever makes this change.
const fn applies(direction: Direction, change: Change) -> bool {
    match change {
        Change::ClearPointer | Change::DeleteRow => true,
        Change::UpdateRow | Change::CreateRow | Change::DeleteOrphan => {
            matches!(direction, Direction::Legacy)
        }
        Change::UpdateLegacy => matches!(direction, Direction::Subtype),
    }
}

const fn meaning(change: Change) -> &'static str {
    match change {
        Change::ClearPointer => "a project's own pointer at a row that goes, set to NULL",
        Change::UpdateRow => "subtype rows that get the legacy values",
        Change::UpdateLegacy => "projects whose legacy columns that differ get the subtype row's values",
        Change::CreateRow => "right rows made from the legacy columns, where only the wrong one is",
        Change::DeleteRow => "rows of the wrong kind that go",
        Change::DeleteOrphan => "rows without a project that go",
    }
}

fn pointer_text(pointer: &Pointer) -> String {
    let Pointer { from, to, kind } = pointer;
    format!("project {from}: {} points at the {kind} row of {to}", kind.pointer())
}

/// What the repair leaves alone, and whose work it is.
fn left_alone(left: &LeftAlone) -> Vec<String> {
    let lines = [
        (left.missing, "projects without any subtype row are left to `sti backfill`"),
        (
            left.unknown_with_row,
            "projects of unknown type with a subtype row are left alone: set project_type first",
        ),
        (
            left.wrong_kind,
            "projects with a row of the wrong kind only are left alone: there is no right row to copy from",
        ),
        (left.orphans, "rows without a project are left alone: there is no project to copy to"),
    ];
    lines
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{} {why}", number(*count)))
        .collect()
}

fn done_json(is: &str, repair: &Repair) -> Value {
    json!({
        "is": is,
        "changed": changes_json(&repair.changed),
        "chunks": repair.chunks,
        "settled": repair.settled,
    })
}

fn changes_json(changes: &ChangeCounts) -> Map<String, Value> {
    changes.iter().map(|(change, counts)| (change.to_string(), json!(counts))).collect()
}
