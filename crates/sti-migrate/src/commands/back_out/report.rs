//! What `sti-migrate back-out` reports.

use serde::Serialize;
use sti_cli::{Document, Report, Table, Target, number};
use sti_core::contract::back_out::{BackOut, BackOutPlan, BackedOut, Blocker, Obstacle};
use sti_core::models::{Kind, PerKind};

/// How far it came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage<'a> {
    Shown(&'a BackOutPlan),
    Done(&'a BackOut),
}

/// The report of both.
pub(super) struct BackOutReport<'a> {
    target: String,
    stage: Stage<'a>,
}

#[derive(Serialize)]
struct Json<'a> {
    target: &'a str,
    /// `shown`, `refused`, `done`, `incomplete` (rows are left), or `stopped` (somebody asked for it).
    outcome: &'static str,
    digest: &'a str,
    projects: i64,
    rows_before: PerKind,
    deleted: Option<PerKind>,
    rows_after: Option<PerKind>,
    gives_up_run: Option<i64>,
    gave_up_run: Option<i64>,
    blockers: Vec<BlockerJson>,
    next: Vec<String>,
}

#[derive(Serialize)]
struct BlockerJson {
    #[serde(flatten)]
    obstacle: ObstacleJson,
    count: i64,
    ids: Vec<String>,
}

#[derive(Serialize)]
struct ObstacleJson {
    obstacle: &'static str,
    kind: Option<Kind>,
}

impl<'a> BackOutReport<'a> {
    pub(super) fn new(target: &Target, stage: Stage<'a>) -> Self {
        Self { target: target.url.to_string(), stage }
    }

    fn plan(&self) -> &'a BackOutPlan {
        match self.stage {
            Stage::Shown(plan) => plan,
            Stage::Done(BackOut::Refused(plan)) => plan,
            Stage::Done(BackOut::Done(done) | BackOut::Stopped(done)) => &done.plan,
        }
    }

    fn done(&self) -> Option<&'a BackedOut> {
        match self.stage {
            Stage::Done(BackOut::Done(done) | BackOut::Stopped(done)) => Some(done),
            Stage::Shown(_) | Stage::Done(BackOut::Refused(_)) => None,
        }
    }

    fn blockers(&self) -> Vec<&'a Blocker> {
        match self.done() {
            Some(done) => done.stopped_by.iter().collect(),
            None => self.plan().blockers.iter().collect(),
        }
    }

    fn outcome(&self) -> &'static str {
        match (self.done(), self.stage) {
            (_, Stage::Done(BackOut::Stopped(_))) => "stopped",
            (Some(done), _) if done.is_complete() => "done",
            (Some(_), _) => "incomplete",
            (None, Stage::Shown(plan)) if plan.blockers.is_empty() => "shown",
            (None, _) => "refused",
        }
    }

    fn verdict(&self) -> String {
        const NOTHING: &str = "Nothing was changed.";
        match (self.outcome(), self.done()) {
            ("done", Some(done)) => format!(
                "Backed out: the subtype tables are empty, {} deleted. Every value is in the legacy columns.",
                rows(done.deleted.total())
            ),
            ("stopped", Some(done)) => format!(
                "Stopped, as it was asked to: {} deleted, {} left. No value went with them.",
                rows(done.deleted.total()),
                rows(done.left.total())
            ),
            (_, Some(done)) if done.stopped_by.is_some() => format!(
                "Stopped on the way: {} deleted, {} left, for something came up that stands in the way.",
                rows(done.deleted.total()),
                rows(done.left.total())
            ),
            (_, Some(done)) => format!(
                "Not empty: {} deleted, and {} there by now: a service still writes subtype rows. Set it to \
                 ENABLE_STI=false.",
                rows(done.deleted.total()),
                rows(done.left.total())
            ),
            ("shown", None) => format!("Backing out: the plan. {NOTHING}"),
            (_, None) if self.plan().blockers.is_empty() => {
                format!("Refused: the digest that was given is not that of the plan of now. {NOTHING}")
            }
            (_, None) => format!("Refused. {NOTHING}"),
        }
    }

    fn next(&self) -> Vec<String> {
        let mut next: Vec<String> = Vec::new();
        for blocker in self.blockers() {
            let commands: &[&str] = match blocker.obstacle {
                Obstacle::ColumnsMissing | Obstacle::Restoring => {
                    &["sti-migrate restore-legacy", "sti-migrate restore-legacy --finish"]
                }
                Obstacle::SyncTriggers => &["sti-migrate sync remove"],
                Obstacle::Backfill => &["sti-migrate status"],
                // Which side is right, somebody has to say.
                Obstacle::Differs(_) => &["sti-verify"],
                Obstacle::Orphans(_) => &["sti-verify --repair --from legacy"],
                Obstacle::Pointers(_) => &[],
            };
            for command in commands {
                if !next.iter().any(|known| known == command) {
                    next.push((*command).to_owned());
                }
            }
        }
        let plan = self.plan();
        match self.outcome() {
            "shown" => next.push(format!("sti-migrate back-out --execute --confirm {}", plan.digest)),
            "refused" if plan.blockers.is_empty() => {
                next.push(format!("sti-migrate back-out --execute --confirm {}", plan.digest));
            }
            "done" => {}
            _ => next.push("sti-migrate back-out".to_owned()),
        }
        next
    }

    fn counts(&self) -> Table {
        let before = self.plan().rows;
        let mut headers = vec!["table", "rows before"];
        if self.done().is_some() {
            headers.extend(["deleted", "rows after"]);
        }
        Kind::ALL.into_iter().fold(Table::new(headers), |table, kind| {
            let mut row = vec![kind.table().to_owned(), number(before.of(kind))];
            if let Some(done) = self.done() {
                row.extend([number(done.deleted.of(kind)), number(done.left.of(kind))]);
            }
            table.row(row)
        })
    }
}

fn rows(count: i64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", number(count)) }
}

fn obstacle(blocker: &Blocker) -> String {
    let count = rows(blocker.count);
    let mut line = match blocker.obstacle {
        Obstacle::ColumnsMissing => {
            return "the legacy columns are dropped: the subtype rows are the values".to_owned();
        }
        Obstacle::Restoring => {
            return "a drop is being restored: its triggers would empty the legacy columns along with the rows"
                .to_owned();
        }
        Obstacle::SyncTriggers => {
            return "sync triggers are on projects_project: they would make rows anew with the next write"
                .to_owned();
        }
        Obstacle::Backfill => {
            return "a backfill is at work, or has begun meanwhile: stop it, its rows are complete when it has"
                .to_owned();
        }
        Obstacle::Differs(kind) => {
            format!("{count} of {} with what the legacy columns do not hold", kind.table())
        }
        Obstacle::Orphans(kind) => format!("{count} of {} without a project", kind.table()),
        Obstacle::Pointers(kind) => format!(
            "{} rows of projects_project whose {} points at a row of {}: set it to NULL",
            number(blocker.count),
            kind.pointer(),
            kind.table()
        ),
    };
    if !blocker.ids.is_empty() {
        let ids: Vec<String> = blocker.ids.iter().map(ToString::to_string).collect();
        let more =
            if usize::try_from(blocker.count).is_ok_and(|count| count > ids.len()) { ", …" } else { "" };
        line = format!("{line} ({}{more})", ids.join(", "));
    }
    if let Obstacle::Differs(_) = blocker.obstacle {
        line += "; where services read the legacy columns (ENABLE_STI=false, true): `sti-verify --repair --from legacy`, \
                 where they still read the rows: `--from subtype`";
    }
    line
}

impl Report for BackOutReport<'_> {
    fn document(&self) -> Document {
        let plan = self.plan();
        let mut document = Document::new().paragraph(self.verdict());
        let blockers = self.blockers();
        if !blockers.is_empty() {
            document = document.heading("What stands in the way").list(blockers.into_iter().map(obstacle));
        }
        let columns = self.blockers().iter().all(|blocker| blocker.obstacle != Obstacle::ColumnsMissing);
        document = document.heading("Rows").table(self.counts()).paragraph(format!(
            "{} stay as they are{}.",
            if plan.projects == 1 {
                "1 project".to_owned()
            } else {
                format!("{} projects", number(plan.projects))
            },
            if columns { ", with their legacy columns" } else { "" }
        ));
        let given_up = match self.done() {
            Some(done) => done.gave_up_run.map(|run| (run, "was")),
            None => plan.gives_up_run.filter(|_| self.outcome() != "refused").map(|run| (run, "will be")),
        };
        if let Some((run, will)) = given_up {
            document =
                document.paragraph(format!("Run {run} of the backfill, which was stopped, {will} given up."));
        }
        document = match self.outcome() {
            "shown" => document.paragraph("Set every service to ENABLE_STI=false first. Then:"),
            "stopped" => document.paragraph(
                "To make the rows again: ENABLE_STI=true sti backfill --include-drafts. To go on:",
            ),
            "done" => {
                document.paragraph("To make the rows again: ENABLE_STI=true sti backfill --include-drafts.")
            }
            _ => document.paragraph("Then:"),
        };
        self.next().into_iter().fold(document, Document::command)
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let plan = self.plan();
        serde_json::to_value(Json {
            target: &self.target,
            outcome: self.outcome(),
            digest: &plan.digest,
            projects: plan.projects,
            rows_before: plan.rows,
            deleted: self.done().map(|done| done.deleted),
            rows_after: self.done().map(|done| done.left),
            gives_up_run: plan.gives_up_run,
            gave_up_run: self.done().and_then(|done| done.gave_up_run),
            blockers: self.blockers().into_iter().map(blocker_json).collect(),
            next: self.next(),
        })
    }
}

fn blocker_json(blocker: &Blocker) -> BlockerJson {
    let (obstacle, kind) = match blocker.obstacle {
        Obstacle::ColumnsMissing => ("columns_missing", None),
        Obstacle::Restoring => ("restoring", None),
        Obstacle::SyncTriggers => ("sync_triggers", None),
        Obstacle::Backfill => ("backfill", None),
        Obstacle::Differs(kind) => ("differs", Some(kind)),
        Obstacle::Orphans(kind) => ("orphans", Some(kind)),
        Obstacle::Pointers(kind) => ("pointers", Some(kind)),
    };
    BlockerJson {
        obstacle: ObstacleJson { obstacle, kind },
        count: blocker.count,
        ids: blocker.ids.iter().map(ToString::to_string).collect(),
    }
}
