//! What a drop or rehearsal that was not made has left behind, in words.

use sti_cli::number;
use sti_core::contract::{Leftovers, UnmadeRun};

use super::status::moment;

/// A line for each thing.
pub(crate) fn lines(left: &Leftovers) -> Vec<String> {
    let mut lines: Vec<String> = left.runs.iter().map(run).collect();
    if left.archived > 0 {
        lines.push(format!("{} rows in sti_legacy_archive that belong to no drop", number(left.archived)));
    }
    if !left.triggers.is_empty() {
        lines.push(format!("triggers of the change log on {}", left.triggers.join(", ")));
    } else if left.functions {
        lines.push("functions of the change log".to_owned());
    }
    if left.entries > 0 {
        lines.push(format!("{} entries in sti_change_log", number(left.entries)));
    }
    lines
}

fn run(run: &UnmadeRun) -> String {
    let what = if run.rehearsal { "rehearsal" } else { "drop" };
    let state = if run.at_work { "is at work" } else { "was not made" };
    format!("{what} {} of {} {state}", run.id, moment(run.begun_at))
}
