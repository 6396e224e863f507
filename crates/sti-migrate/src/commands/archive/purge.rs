//! `sti-migrate archive purge`

use serde::Serialize;
use sti_cli::chunks::watched;
use sti_cli::{Answer, Common, Document, Exit, Failure, Report, Target, number};
use sti_core::contract::purge::{
    Purge, PurgeError, PurgeOptions as How, PurgePlan, PurgeRefusal, execute, plan,
};
use sti_core::db::Access;

use super::{PurgeOptions, moment};

pub(super) fn run(options: &PurgeOptions, common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate archive purge")?;
    let stage = match &options.confirm {
        None => Stage::Shown(Box::new(plan(&mut target.connect(Access::Read)?, options.event)?)),
        Some(digest) => {
            let purge = watched("making the plan of now", "rows deleted", |stop, tell| {
                let how = How { event: options.event, confirm: digest.clone(), stop: stop.clone() };
                execute(&mut target.connector(), &how, tell)
            })?;
            Stage::Purged(purge.map_err(|error| failure(&error))?)
        }
    };
    PurgeReport::new(&target, &stage).print(common.format)?;
    Ok(match stage {
        Stage::Shown(plan) if plan.refusal.is_none() => Exit::Done,
        Stage::Purged(Purge::Done { .. }) => Exit::Done,
        Stage::Purged(Purge::Stopped { .. }) => Exit::Stopped,
        Stage::Shown(_) | Stage::Purged(Purge::Refused(_)) => Exit::Negative,
    })
}

fn failure(error: &PurgeError) -> Failure {
    let exit = match error {
        PurgeError::Unknown(_) => Exit::Unknown,
        PurgeError::Locked { .. } => Exit::Stopped,
        PurgeError::Interrupted { source, .. } => Exit::of(source.fault()),
        PurgeError::Overtaken { .. } => Exit::Negative,
        PurgeError::NoSuchEvent { .. } | PurgeError::Connect(_) | PurgeError::Db(_) => Exit::Failed,
    };
    Failure::of(exit, error, error)
}

/// How far it came.
enum Stage {
    Shown(Box<PurgePlan>),
    Purged(Purge),
}

struct PurgeReport<'a> {
    target: String,
    stage: &'a Stage,
}

#[derive(Serialize)]
struct Json<'a> {
    target: &'a str,
    /// `shown`, `done`, `stopped` or `refused`.
    outcome: &'static str,
    refused_because: Option<&'static str>,
    digest: &'a str,
    event: i64,
    rows: i64,
    projects_gone: i64,
    changed_since: i64,
    other_archives: &'a [i64],
    deleted: Option<i64>,
    next: Option<String>,
}

impl<'a> PurgeReport<'a> {
    fn new(target: &Target, stage: &'a Stage) -> Self {
        Self { target: target.url.to_string(), stage }
    }

    fn plan(&self) -> &PurgePlan {
        match self.stage {
            Stage::Shown(plan) => plan,
            Stage::Purged(Purge::Refused(plan) | Purge::Done { plan, .. } | Purge::Stopped { plan, .. }) => {
                plan
            }
        }
    }

    fn refused_because(&self) -> Option<&'static str> {
        match (self.plan().refusal, self.stage) {
            (Some(PurgeRefusal::NotRestored), _) => Some("not_restored"),
            (Some(PurgeRefusal::NotFinished(_)), _) => Some("not_finished"),
            (Some(PurgeRefusal::OtherOpen(_)), _) => Some("other_open"),
            (Some(PurgeRefusal::ColumnsMissing), _) => Some("columns_missing"),
            (None, Stage::Purged(Purge::Refused(_))) => Some("another_plan"),
            (None, _) => None,
        }
    }

    fn verdict(&self) -> String {
        const NOTHING: &str = "Nothing was changed.";
        let plan = self.plan();
        let event = plan.event.id;
        match (plan.refusal, self.stage) {
            (Some(PurgeRefusal::NotRestored), _) => format!(
                "Refused: drop {event} is not restored, so its archive is the only copy of what no subtype row holds. \
                 {NOTHING}"
            ),
            (Some(PurgeRefusal::NotFinished(Some(unfinished))), _) => {
                let until = if unfinished == event { "" } else { ": until it is, no archive goes" };
                format!(
                    "Refused: drop {unfinished} is restored, and its restore is not finished{until}. {NOTHING}"
                )
            }
            (Some(PurgeRefusal::NotFinished(None)), _) => {
                format!("Refused: triggers of a restore are still there. {NOTHING}")
            }
            (Some(PurgeRefusal::OtherOpen(other)), _) => format!(
                "Refused: drop {other} is not restored. While the legacy columns are not there and verified, no archive \
                 goes. {NOTHING}"
            ),
            (Some(PurgeRefusal::ColumnsMissing), _) => {
                format!("Refused: legacy columns are missing, and no drop that is open says why. {NOTHING}")
            }
            (None, Stage::Shown(_)) => format!("Purge of the archive of drop {event}: the plan. {NOTHING}"),
            (None, Stage::Purged(Purge::Refused(_))) => {
                format!("Refused: the digest that was given is not that of the plan of now. {NOTHING}")
            }
            (None, Stage::Purged(Purge::Done { deleted, .. })) => {
                format!("Purged: {} of drop {event} deleted from the archive.", rows(*deleted))
            }
            (None, Stage::Purged(Purge::Stopped { deleted, .. })) => format!(
                "Stopped, as it was asked to: {} of drop {event} deleted from the archive, of {}.",
                rows(*deleted),
                number(plan.rows)
            ),
        }
    }

    fn next(&self) -> Option<String> {
        let plan = self.plan();
        match (plan.refusal, self.stage) {
            (Some(PurgeRefusal::NotRestored | PurgeRefusal::OtherOpen(_)), _) => {
                Some("sti-migrate restore-legacy".to_owned())
            }
            (Some(PurgeRefusal::NotFinished(_)), _) => Some("sti-migrate restore-legacy --finish".to_owned()),
            (Some(PurgeRefusal::ColumnsMissing), _) => Some("sti-migrate status".to_owned()),
            (None, Stage::Purged(Purge::Done { .. })) => None,
            (None, Stage::Purged(Purge::Stopped { .. })) => {
                Some(format!("sti-migrate archive purge --event {}", plan.event.id))
            }
            (None, _) if plan.rows == 0 => None,
            (None, _) => {
                Some(format!("sti-migrate archive purge --event {} --confirm {}", plan.event.id, plan.digest))
            }
        }
    }
}

/// What was not looked for, and where.
fn others(drops: &[i64]) -> Option<String> {
    let ids: Vec<String> = drops.iter().map(i64::to_string).collect();
    let (drops, archive) = match drops {
        [] => return None,
        [_] => ("drop", "archive"),
        _ => ("drops", "archives"),
    };
    Some(format!("not looked for in the {archive} of {drops} {}, which may have it too", ids.join(", ")))
}

fn rows(count: i64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", number(count)) }
}

impl Report for PurgeReport<'_> {
    fn document(&self) -> Document {
        let plan = self.plan();
        let began = matches!(self.stage, Stage::Purged(Purge::Done { .. } | Purge::Stopped { .. }));
        let mut document = Document::new().paragraph(self.verdict());
        if !began {
            let mut lines = vec![format!(
                "drop {} of {}: {} in the archive",
                plan.event.id,
                moment(plan.event.dropped_at),
                rows(plan.rows)
            )];
            if plan.projects_gone > 0 {
                lines.push(format!(
                    "of projects that have been deleted since: {}",
                    number(plan.projects_gone)
                ));
            }
            if plan.changed_since > 0 {
                lines.push(format!(
                    "with a value that the legacy columns do not hold any more: {}",
                    number(plan.changed_since)
                ));
            }
            if plan.projects_gone + plan.changed_since > 0 {
                lines.extend(others(&plan.other_archives));
            }
            document = document.list(lines);
        }
        match self.next() {
            Some(next) if began => document.paragraph("To see what is left, and go on:").command(next),
            Some(next) if plan.refusal.is_none() => {
                document.paragraph("What is purged is gone for good. To do it:").command(next)
            }
            Some(next) => document.paragraph("First:").command(next),
            None => document,
        }
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let plan = self.plan();
        let (outcome, deleted) = match (self.refused_because(), self.stage) {
            (Some(_), _) => ("refused", None),
            (None, Stage::Purged(Purge::Done { deleted, .. })) => ("done", Some(*deleted)),
            (None, Stage::Purged(Purge::Stopped { deleted, .. })) => ("stopped", Some(*deleted)),
            (None, _) => ("shown", None),
        };
        serde_json::to_value(Json {
            target: &self.target,
            outcome,
            refused_because: self.refused_because(),
            digest: &plan.digest,
            event: plan.event.id,
            rows: plan.rows,
            projects_gone: plan.projects_gone,
            changed_since: plan.changed_since,
            other_archives: &plan.other_archives,
            deleted,
            next: self.next(),
        })
    }
}
