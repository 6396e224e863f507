//! The gates themselves: each makes its result of what a look found.

pub(super) mod idle;
pub(super) mod values;
pub(super) mod writers;

use std::time::Duration;

use super::gate::{Gate, GateResult, Verdict};
use super::plan::LockEstimate;
use crate::db::catalog::{Dependent, Effect};
use crate::db::dialect::Obstacle;
use crate::expand;
use crate::sync;

/// The most lines of evidence that one gate gives.
const LINES: usize = 50;

impl GateResult {
    /// The result of a gate that expects to find nothing.
    fn of(gate: Gate, found: usize, mut evidence: Vec<String>, fix: impl Into<String>) -> Self {
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        let more = evidence.len().saturating_sub(LINES);
        if more > 0 {
            evidence.truncate(LINES);
            evidence.push(format!("and {more} more"));
        }
        let fix = (found > 0).then(|| fix.into());
        Self { gate, verdict: Verdict::of(found), found, allowed: 0, evidence, ids: Vec::new(), fix }
    }
}

/// The result of a gate that another one keeps from being asked.
pub(super) fn not_asked(gate: Gate) -> GateResult {
    GateResult {
        gate,
        verdict: Verdict::NotAsked,
        found: 0,
        allowed: 0,
        evidence: vec!["not asked while the schema does not fit".to_owned()],
        ids: Vec::new(),
        fix: None,
    }
}

pub(super) fn schema(found: &expand::Plan, obstacles: &[Obstacle]) -> GateResult {
    let mut evidence: Vec<String> = found.misfits.iter().map(ToString::to_string).collect();
    let pending = found.pending.iter();
    evidence.extend(pending.map(|migration| format!("migration {migration} has not run")));
    let fix = match (found.misfits.is_empty(), found.pending.is_empty()) {
        (false, _) => "sti-migrate status",
        (true, false) => "sti-migrate up",
        (true, true) => "connect as the role that the evidence names",
    };
    evidence.extend(obstacles.iter().map(ToString::to_string));
    GateResult::of(Gate::Schema, evidence.len(), evidence, fix)
}

/// The sync triggers do not count: the drop takes them away itself. It tells of them, for they hide whom they serve.
pub(super) fn dependents(found: &[Dependent]) -> GateResult {
    let (ours, others): (Vec<&Dependent>, Vec<&Dependent>) =
        found.iter().partition(|dependent| sync::is_ours(dependent));
    let evidence = others.iter().map(|dependent| {
        format!(
            "{} {} {}: {}",
            dependent.kind,
            dependent.name,
            dependent.effect.words(),
            dependent.definition
        )
    });
    let broken = others.iter().any(|dependent| dependent.effect == Effect::Unreadable);
    let fix = if broken {
        "mend what is broken, or drop it, whatever it is about; change the other objects so that they do without the columns, \
         or drop them; then sti-migrate drop-legacy again"
    } else {
        "change these objects so that they do without the columns, or drop them; then sti-migrate drop-legacy again"
    };
    let mut result = GateResult::of(Gate::Dependents, others.len(), evidence.collect(), fix);
    if !ours.is_empty() {
        result.evidence.push(SYNC.to_owned());
    }
    result
}

/// What the gate says where the sync triggers are.
const SYNC: &str = "the sync triggers go with the columns: a writer that relies on them writes the legacy columns only, \
                    no gate can see it behind them, and it fails once the columns are gone";
/// Where the time under the lock does not depend on the table, and ends the drop when it is over.
pub(super) fn lock_time_bounded(max_lock: Duration) -> GateResult {
    GateResult {
        gate: Gate::LockTime,
        verdict: Verdict::Pass,
        found: 0,
        allowed: i64::try_from(max_lock.as_millis()).unwrap_or(i64::MAX),
        evidence: vec![format!(
            "does not depend on the number of projects: both sides are compared and archived before; given up and rolled \
             back after {:.2} s. A rehearsal measures it",
            max_lock.as_secs_f64()
        )],
        ids: Vec::new(),
        fix: None,
    }
}

/// Counts in milliseconds, and refuses by the longest time that is allowed.
pub(super) fn lock_time(estimate: &LockEstimate, max_lock: Duration) -> GateResult {
    let ms = |of: Duration| i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
    let total = estimate.total();
    let open = total <= max_lock;
    GateResult {
        gate: Gate::LockTime,
        verdict: if open { Verdict::Pass } else { Verdict::Refused },
        found: ms(total),
        allowed: ms(max_lock),
        evidence: vec![
            format!(
                "estimated {:.2} s: comparing {:.2} s, archiving {:.2} s, dropping {:.2} s",
                total.as_secs_f64(),
                estimate.compare.as_secs_f64(),
                estimate.archive.as_secs_f64(),
                estimate.drop.as_secs_f64(),
            ),
            estimate.basis.clone(),
        ],
        ids: Vec::new(),
        fix: (!open).then(|| {
            format!(
                "nobody can read or write projects for so long: choose a quiet time, and allow it with --max-lock {}",
                total.as_secs() + 1
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_can_be_read_is_counted_and_cut() {
        let lines = (0..60).map(|line| line.to_string()).collect();
        let result = GateResult::of(Gate::Dependents, 60, lines, "mend it");
        assert_eq!((result.verdict, result.found), (Verdict::Refused, 60));
        assert_eq!(result.evidence.len(), LINES + 1);
        assert_eq!(result.evidence[LINES], "and 10 more");
        let result = GateResult::of(Gate::Dependents, 0, Vec::new(), "mend it");
        assert_eq!((result.verdict, result.fix), (Verdict::Pass, None));
    }

    #[test]
    fn the_lock_time_is_held_against_what_is_allowed() {
        let second = Duration::from_secs(1);
        let estimate =
            LockEstimate { compare: second, archive: second, drop: Duration::ZERO, basis: String::new() };
        let result = lock_time(&estimate, 2 * second);
        assert_eq!((result.verdict, result.found, result.allowed), (Verdict::Pass, 2000, 2000));
        let result = lock_time(&estimate, second);
        assert_eq!((result.verdict, result.found, result.allowed), (Verdict::Refused, 2000, 1000));
        assert!(result.fix.unwrap().ends_with("--max-lock 3"));
    }
}
