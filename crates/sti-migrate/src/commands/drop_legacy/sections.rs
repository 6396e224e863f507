//! The parts of the report that show the plan itself.

use sti_cli::{Document, Table, number};
use sti_core::contract::{DropPlan, Gate, GateResult, Verdict};
use sti_core::models::Kind;

use super::words::one_line;

/// Every gate in a table; below it, for those that found something, what, and how to mend it.
pub(super) fn gates(document: Document, plan: &DropPlan) -> Document {
    let headers = ["gate", "verdict", "found", "allowed", "expected"];
    let table = plan.gates.iter().fold(Table::new(headers), |table, result| {
        let figure = |figure: i64| match (result.verdict, result.gate) {
            (Verdict::NotAsked, _) => "-".to_owned(),
            (_, Gate::LockTime) => {
                format!("{}.{:02} s", number(figure / 1000), figure.rem_euclid(1000) / 10)
            }
            _ => number(figure),
        };
        table.row([
            result.gate.to_string(),
            word(result.verdict).to_owned(),
            figure(result.found),
            figure(result.allowed),
            result.gate.expected().to_owned(),
        ])
    });
    let told = plan.gates.iter().filter(|result| result.verdict != Verdict::NotAsked);
    told.filter(|result| !details(result).is_empty()).fold(document.table(table), |document, result| {
        document.paragraph(format!("{} ({}):", result.gate, word(result.verdict))).list(details(result))
    })
}

fn details(result: &GateResult) -> Vec<String> {
    let mut lines: Vec<String> = result.evidence.iter().map(|line| one_line(line)).collect();
    if !result.ids.is_empty() {
        let ids: Vec<String> = result.ids.iter().map(ToString::to_string).collect();
        lines.push(format!("the first of them: {}", ids.join(", ")));
    }
    lines.extend(result.fix.iter().map(|fix| format!("to mend it: {fix}")));
    lines
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Waived => "waived",
        Verdict::Refused => "REFUSED",
        Verdict::NotAsked => "not asked",
    }
}

/// What is there, what goes, who is connected, how to go back. Nothing where the tables could not be read.
pub(super) fn consequences(document: Document, plan: &DropPlan, is_done: bool) -> Document {
    let document = what_goes(document, plan, is_done);
    if plan.counts.is_none() {
        return document;
    }
    document.paragraph("To go back, in this order:").list(plan.way_back.iter().map(String::as_str))
}

/// What is there, what goes, who is connected.
pub(super) fn what_goes(document: Document, plan: &DropPlan, is_done: bool) -> Document {
    let Some(counts) = &plan.counts else { return document };
    let mut table = Table::new(["projects", "non-draft", "draft", "subtype rows"]);
    for kind in [Some(Kind::School), Some(Kind::SelfStudy), None] {
        let split = counts.projects.of(kind);
        table = table.row([
            match kind {
                Some(Kind::School) => "school",
                Some(Kind::SelfStudy) => "self-study",
                None => "unknown type",
            }
            .to_owned(),
            number(split.non_draft),
            number(split.draft),
            kind.map_or_else(|| "-".to_owned(), |kind| number(counts.subtype_rows.of(kind))),
        ]);
    }
    let dropped = if is_done { "Dropped" } else { "Would be dropped" };
    let mut document = document
        .table(table)
        .paragraph(format!("{dropped} from projects_project, and how these columns are made again:"))
        .list(plan.definitions.iter().map(String::as_str));
    if !is_done {
        document = document.paragraph(format!(
            "Before that the raw values and the subtype rows of {} projects go into sti_legacy_archive.",
            number(plan.archive_rows)
        ));
        document = sessions(document, plan);
    }
    document
}

fn sessions(document: Document, plan: &DropPlan) -> Document {
    if plan.sessions.is_empty() {
        return document;
    }
    document
        .paragraph(
            "Connected to this database besides this command. Each of them that writes projects must write both \
             sides by now; the plan cannot see that:",
        )
        .list(plan.sessions.iter().map(ToString::to_string))
}
