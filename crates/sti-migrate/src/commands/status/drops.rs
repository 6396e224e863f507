//! The drops on record, and what a restore has left: what `sti-migrate status` says of them.

use serde::Serialize;
use sti_cli::number;
use sti_core::ProjectId;
use sti_core::contract::DropEvent;
use sti_core::contract::restore::{Installed, Levelled, Standing};

use super::report::moment;

/// A drop, for programs.
#[derive(Serialize)]
pub(super) struct DropJson<'s> {
    event: i64,
    state: &'static str,
    dropped_at: String,
    tool_version: &'s str,
    archived: Option<i64>,
    restore_began_at: Option<String>,
    refilled_through: Option<String>,
    restored_at: Option<String>,
    finished_at: Option<String>,
}

/// One line for each drop, and one for triggers that are there.
pub(super) fn lines(standing: &Standing) -> Vec<String> {
    let mut lines: Vec<String> = standing.drops.iter().map(line).collect();
    let triggers = match standing.triggers {
        Installed::No => return lines,
        Installed::InPart => "triggers of a restore are there in part, so both sides may drift apart",
        Installed::Yes => "the triggers of a restore keep the legacy columns level with the subtype rows",
    };
    let levelled = match standing.levelled {
        Levelled::Never => String::new(),
        Levelled::At(at) => {
            format!("; a subtype row was last written without the legacy columns at {}", moment(at))
        }
        Levelled::NotReadable => {
            "; whether a subtype row was written without the legacy columns this role may not \
                                  see (it lacks SELECT on the sequence sti_restore_levelled)"
                .to_owned()
        }
    };
    lines.push(format!("{triggers}{levelled}"));
    lines
}

fn line(drop: &DropEvent) -> String {
    let archived = drop.archived.map_or_else(
        || "without an archive".to_owned(),
        |archived| {
            format!(
                "{} archived",
                if archived == 1 { "1 project".to_owned() } else { format!("{} projects", number(archived)) }
            )
        },
    );
    let restore = match (drop.restore_began_at, drop.restored_at, drop.finished_at) {
        (_, Some(restored), Some(finished)) => {
            format!("restored at {}, finished at {}", moment(restored), moment(finished))
        }
        (_, Some(restored), None) => format!("restored at {}, not finished", moment(restored)),
        (Some(_), None, _) => match drop.refilled_through {
            Some(ProjectId::MAX) => {
                "being restored: the columns are back and filled; both sides do not agree yet, or were not compared"
                    .to_owned()
            }
            Some(id) => format!("being restored: the columns are back, and filled through project {id}"),
            None => "being restored: the columns are back, and not filled".to_owned(),
        },
        (None, None, _) => "not restored".to_owned(),
    };
    format!(
        "drop {} at {} by version {}, {archived}: {restore}",
        drop.id,
        moment(drop.dropped_at),
        drop.tool_version
    )
}

pub(super) fn json(standing: &Standing) -> Vec<DropJson<'_>> {
    standing.drops.iter().map(drop_json).collect()
}

fn drop_json(drop: &DropEvent) -> DropJson<'_> {
    DropJson {
        event: drop.id,
        state: state(drop),
        dropped_at: moment(drop.dropped_at),
        tool_version: &drop.tool_version,
        archived: drop.archived,
        restore_began_at: drop.restore_began_at.map(moment),
        refilled_through: drop.refilled_through.map(|id| id.to_string()),
        restored_at: drop.restored_at.map(moment),
        finished_at: drop.finished_at.map(moment),
    }
}

const fn state(drop: &DropEvent) -> &'static str {
    match (drop.restore_began_at, drop.restored_at, drop.finished_at) {
        (_, Some(_), Some(_)) => "finished",
        (_, Some(_), None) => "restored",
        (Some(_), None, _) => "restoring",
        (None, None, _) => "open",
    }
}

pub(super) const fn triggers(standing: &Standing) -> &'static str {
    match standing.triggers {
        Installed::No => "none",
        Installed::InPart => "some",
        Installed::Yes => "all",
    }
}

/// What a restore asks for next, before anything else: why, and the commands.
pub(super) fn next(standing: &Standing) -> Option<(&'static str, &'static [&'static str])> {
    if standing.under_way().is_some() {
        return Some((
            "a drop is being taken back, and is not restored yet: the same command goes on",
            &["sti-migrate restore-legacy"],
        ));
    }
    standing.unfinished().then_some((
        "the drop is restored: take the triggers away once every service writes both sides",
        &["sti-migrate restore-legacy --finish"],
    ))
}
