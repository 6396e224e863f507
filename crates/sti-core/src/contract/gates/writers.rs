//! The gate that asks whether somebody still writes the legacy columns alone.

use super::super::gate::{Gate, GateResult, Verdict};
use crate::db::Backend;
use crate::models::ProjectId;

/// Before anything is watched.
pub(in super::super) fn unwatched(backend: Backend) -> GateResult {
    let evidence = if backend.works_ahead_of_locks() {
        "watched by the change log while a rehearsal or the drop is at work; a plan cannot see it"
    } else {
        "nobody else writes while the drop compares both sides"
    };
    GateResult {
        gate: Gate::LegacyWriters,
        verdict: Verdict::Pass,
        found: 0,
        allowed: 0,
        evidence: vec![evidence.to_owned()],
        ids: Vec::new(),
        fix: None,
    }
}

/// As the change log has it: these projects were written without their subtype rows.
pub(in super::super) fn watched(suspects: &[ProjectId]) -> GateResult {
    let mut ids = suspects.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let evidence = match ids.len() {
        0 => "no such write since the change log began".to_owned(),
        1 => "the legacy columns of 1 project were changed by a transaction that left its subtype row behind"
            .to_owned(),
        many => {
            format!(
                "the legacy columns of {many} projects were changed by transactions that left their subtype rows behind"
            )
        }
    };
    let mut result = GateResult::of(
        Gate::LegacyWriters,
        ids.len(),
        vec![evidence],
        "find the writer among the sessions and let it write both sides (ENABLE_STI=true); then sti-verify",
    );
    ids.truncate(GateResult::IDS as usize);
    result.ids = ids;
    result
}
