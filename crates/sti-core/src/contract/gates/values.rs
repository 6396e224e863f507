//! The gates that ask whether a value would be lost: the classes of a verification, each under its gate.

use super::super::gate::{Gate, GateResult, Verdict};
use super::super::waiver::Waiver;
use crate::backfill::Scope;
use crate::models::{Kind, ProjectId};
use crate::verify::{Class, ClassCount, VerifyReport};

/// The gate that a class belongs to; `None` for those that lose nothing.
pub(in super::super) const fn gate_of(class: Class) -> Option<Gate> {
    match class {
        Class::Missing => Some(Gate::Coverage),
        Class::MissingDraft => Some(Gate::DraftValues),
        Class::WrongKind => Some(Gate::WrongKind),
        Class::BothKinds => Some(Gate::BothKinds),
        Class::OrphanSchool | Class::OrphanSelfStudy => Some(Gate::Orphans),
        Class::Drift => Some(Gate::Drift),
        Class::UnknownType => Some(Gate::UnknownType),
        Class::StrayValue => Some(Gate::StrayValues),
        Class::NullBecameEmpty | Class::DraftWithoutRow | Class::DraftWithRow => None,
    }
}

/// Whether a gate's question is answered by the classes of a verification.
pub(in super::super) fn is_of_values(gate: Gate) -> bool {
    Class::ALL.into_iter().any(|class| gate_of(class) == Some(gate))
}

/// A gate that may be waived, with as many findings as there are by now; those among `counted`, which came since, are
/// named first.
pub(in super::super) fn recounted(
    base: &GateResult,
    found: i64,
    counted: &[(Gate, ProjectId)],
    waivers: &[Waiver],
) -> GateResult {
    if found == base.found {
        return base.clone();
    }
    let verdict = match waivers.iter().find(|waiver| waiver.gate() == base.gate) {
        Some(waiver) if found <= waiver.allowed() => Verdict::Waived,
        _ => Verdict::of(found),
    };
    let mut evidence = base.evidence.clone();
    evidence.push(format!("{} by now; {} in the snapshot before", number(found, "project"), base.found));
    let fix = (verdict == Verdict::Refused).then(|| fix(base.gate, found));
    let mut ids: Vec<ProjectId> =
        counted.iter().filter(|(gate, _)| *gate == base.gate).map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.extend(base.ids.iter().filter(|id| !ids.contains(id)).copied().collect::<Vec<_>>());
    ids.truncate(GateResult::IDS as usize);
    GateResult { verdict, found, evidence, ids, fix, ..base.clone() }
}

/// A gate that may not be waived, if one of the projects that have changed since the snapshot is a finding.
pub(in super::super) fn changed(gate: Gate, found: &[(Class, ProjectId)]) -> Option<GateResult> {
    let mut ids: Vec<ProjectId> =
        found.iter().filter(|(class, _)| gate_of(*class) == Some(gate)).map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let found = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let evidence = format!("{} so written since the snapshot", number(found, "project"));
    ids.truncate(GateResult::IDS as usize);
    (found > 0).then(|| GateResult {
        gate,
        verdict: Verdict::Refused,
        found,
        allowed: 0,
        evidence: vec![evidence],
        ids,
        fix: Some(fix(gate, found)),
    })
}

/// The results of all of them.
pub(in super::super) fn all(report: &VerifyReport, waivers: &[Waiver]) -> Vec<GateResult> {
    let gates = Gate::ALL.into_iter().filter(|gate| is_of_values(*gate));
    gates
        .map(|gate| {
            let waiver = waivers.iter().find(|waiver| waiver.gate() == gate);
            one(gate, report, waiver)
        })
        .collect()
}

fn one(gate: Gate, report: &VerifyReport, waiver: Option<&Waiver>) -> GateResult {
    let of_gate = |class: Class| gate_of(class) == Some(gate);
    let counts: Vec<&ClassCount> =
        report.classes.iter().filter(|count| of_gate(count.class) && count.total > 0).collect();
    let found: i64 = counts.iter().map(|count| count.total).sum();
    let samples = report.samples.iter().filter(|sample| of_gate(sample.class));
    let ids = samples.flat_map(|sample| sample.projects.iter().map(|project| project.id));
    let verdict = match waiver {
        Some(waiver) if found <= waiver.allowed() => Verdict::Waived,
        _ => Verdict::of(found),
    };
    GateResult {
        gate,
        verdict,
        found,
        allowed: waiver.map_or(0, Waiver::allowed),
        evidence: counts.into_iter().map(evidence).collect(),
        ids: ids.take(GateResult::IDS as usize).collect(),
        fix: (verdict == Verdict::Refused)
            .then(|| if report.refilling { REFILLING.to_owned() } else { fix(gate, found) }),
    }
}

/// What mends whatever is found while the legacy columns are not filled yet.
const REFILLING: &str =
    "sti-migrate restore-legacy: the legacy columns are being restored and are not filled yet";

/// Projects by type and draft state, and the columns that matter.
fn evidence(count: &ClassCount) -> String {
    if let Some(kind) = count.class.orphan_kind() {
        return format!("{} in {} without a project", number(count.total, "row"), kind.table());
    }
    let of = |kind: Option<Kind>| {
        let split = count.projects.of(kind);
        let name = kind.map_or("unknown type", Kind::as_str);
        [(split.non_draft, ""), (split.draft, " (drafts)")]
            .into_iter()
            .filter(|(projects, _)| *projects > 0)
            .map(move |(projects, state)| format!("{projects} {name}{state}"))
    };
    let parts: Vec<String> =
        [Some(Kind::School), Some(Kind::SelfStudy), None].into_iter().flat_map(of).collect();
    let fields: Vec<String> = count
        .fields
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(field, count)| format!("{field} {count}"))
        .collect();
    let fields = match (fields.is_empty(), count.class) {
        (true, Class::Missing | Class::MissingDraft | Class::UnknownType) => {
            "; none holds a value".to_owned()
        }
        (true, _) => String::new(),
        (false, _) => format!("; columns: {}", fields.join(", ")),
    };
    format!("{}: {}{fields}", number(count.total, "project"), parts.join(", "))
}

fn number(count: i64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

fn fix(gate: Gate, found: i64) -> String {
    match gate {
        Gate::Coverage => Scope::NonDraft.command().to_owned(),
        Gate::DraftValues => Scope::All.command().to_owned(),
        Gate::Orphans => {
            "sti-verify --repair --from legacy; with ENABLE_STI=subtype after --from subtype, which leaves \
                          them alone and mends what users see"
                .to_owned()
        }
        Gate::WrongKind => {
            "sti-verify --repair --from legacy; but set the project_type first where it is unknown: no \
                            repair touches those"
                .to_owned()
        }
        Gate::UnknownType => format!(
            "set project_type of these projects and run {}; or let only the archive \
             keep their values, with --waive unknown-type={found}",
            Scope::All.command()
        ),
        Gate::StrayValues => format!(
            "empty these columns of these projects; or let only the archive keep their values, with --waive \
             stray-values={found}"
        ),
        _ => {
            "sti-verify --repair --from legacy, or --from subtype where the subtype rows are right".to_owned()
        }
    }
}
