//! What `sti-migrate drop-legacy` reports, for programs. The shape changes only on purpose.

use serde::Serialize;
use sti_core::contract::{Answer, DropPlan, GateResult, LockEstimate, Outcome, Refusal, Rehearsal, Verdict};
use sti_core::db::dialect::{LockHolder, SessionSeen};
use sti_core::verify::Counts;

use super::report::{DropReport, Stage};

/// The whole of it. A field that has no meaning in an outcome is null.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    target: &'a str,
    /// `plan`, `rehearse` or `execute`.
    asked: &'static str,
    outcome: &'static str,
    /// What confirms the plan of now; of a drop that was asked for without a plan: what was given.
    digest: Option<&'a str>,
    refused_because: Option<&'static str>,
    gates: Vec<Gate<'a>>,
    waivers: Vec<Waiver>,
    counts: Option<Counts>,
    archive_rows: Option<i64>,
    estimate: Option<Estimate<'a>>,
    max_lock_ms: i64,
    definitions: &'a [String],
    sessions: Vec<Session<'a>>,
    way_back: &'a [String],
    event: Option<i64>,
    archived: Option<i64>,
    held_ms: Option<i64>,
    attempts: Option<u32>,
    /// How it is known that a drop was made: `commit`, `catalogue` or `earlier`.
    answer: Option<&'static str>,
    /// What the database said last, where it blocked or was lost.
    reason: Option<&'a str>,
    /// What was seen after the connection was lost, where that is no answer.
    seen: Option<&'a str>,
    holders: Vec<Holder<'a>>,
    /// What this command has begun and could not take away, a line each.
    left_behind: Vec<String>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Gate<'a> {
    name: &'static str,
    verdict: Verdict,
    found: i64,
    allowed: i64,
    expected: &'static str,
    evidence: &'a [String],
    ids: Vec<String>,
    fix: Option<&'a str>,
}

#[derive(Serialize)]
struct Waiver {
    gate: &'static str,
    allowed: i64,
}

#[derive(Serialize)]
struct Estimate<'a> {
    total_ms: i64,
    compare_ms: i64,
    archive_ms: i64,
    drop_ms: i64,
    basis: &'a str,
}

#[derive(Serialize)]
struct Session<'a> {
    pid: i64,
    application: &'a str,
    role: &'a str,
    state: &'a str,
    connected_s: u64,
}

#[derive(Serialize)]
struct Holder<'a> {
    pid: Option<i64>,
    application: &'a str,
    state: &'a str,
    transaction_ms: Option<i64>,
    on: &'a str,
}

impl<'a> Report<'a> {
    pub(super) fn of(report: &'a DropReport<'a>) -> Self {
        let stage = report.stage;
        let plan = stage.plan();
        let made = Made::of(stage);
        let blocked = stage.blocked();
        let (reason, seen) = match stage {
            Stage::Rehearsal(Rehearsal::NotDone { reason }) | Stage::Drop(Outcome::NotDone { reason }, _) => {
                (Some(reason.as_str()), None)
            }
            Stage::Drop(Outcome::Unknown { reason, seen, .. }, _) => {
                (Some(reason.as_str()), Some(seen.as_str()))
            }
            _ => (blocked.map(|blocked| blocked.reason.as_str()), None),
        };
        let given = match stage {
            Stage::Drop(_, digest) => Some(digest),
            Stage::Shown(_) | Stage::Rehearsal(_) => None,
        };
        Self {
            target: &report.target,
            asked: asked(stage),
            outcome: outcome(stage),
            digest: plan.map(|plan| plan.digest.as_str()).or(given),
            refused_because: stage.refusal().map(refused_because),
            gates: plan.into_iter().flat_map(|plan| &plan.gates).map(Gate::of).collect(),
            waivers: report
                .how
                .waivers()
                .iter()
                .map(|waiver| Waiver { gate: waiver.gate().as_str(), allowed: waiver.allowed() })
                .collect(),
            counts: plan.and_then(|plan| plan.counts),
            archive_rows: plan.map(|plan| plan.archive_rows),
            estimate: plan.and_then(|plan| plan.estimate.as_ref()).map(Estimate::of),
            max_lock_ms: ms(report.how.max_lock),
            definitions: plan.map_or(&[], |plan| &plan.definitions),
            sessions: plan.map_or(&[][..], sessions).iter().map(Session::of).collect(),
            way_back: plan.map_or(&[], |plan| &plan.way_back),
            event: made.event,
            archived: made.archived,
            held_ms: made.held_ms,
            attempts: made.attempts.or(blocked.map(|blocked| blocked.attempts)),
            answer: made.answer,
            reason,
            seen,
            holders: blocked.into_iter().flat_map(|blocked| &blocked.holders).map(Holder::of).collect(),
            left_behind: report.left_behind(),
            next: report.next(),
        }
    }
}

fn sessions(plan: &DropPlan) -> &[SessionSeen] {
    &plan.sessions
}

const fn asked(stage: Stage<'_>) -> &'static str {
    match stage {
        Stage::Shown(_) => "plan",
        Stage::Rehearsal(_) => "rehearse",
        Stage::Drop(..) => "execute",
    }
}

fn outcome(stage: Stage<'_>) -> &'static str {
    match stage {
        Stage::Shown(plan) if plan.is_open() => "shown",
        Stage::Shown(_)
        | Stage::Rehearsal(Rehearsal::Refused { .. })
        | Stage::Drop(Outcome::Refused { .. }, _) => "refused",
        Stage::Rehearsal(Rehearsal::Blocked(_)) | Stage::Drop(Outcome::Blocked(_), _) => "blocked",
        Stage::Rehearsal(Rehearsal::Rehearsed { .. }) => "rehearsed",
        Stage::Drop(Outcome::Done(_), _) => "done",
        Stage::Rehearsal(Rehearsal::NotDone { .. }) | Stage::Drop(Outcome::NotDone { .. }, _) => "not_done",
        Stage::Drop(Outcome::Unknown { .. }, _) => "unknown",
    }
}

const fn refused_because(why: &Refusal) -> &'static str {
    match why {
        Refusal::Gates => "gates",
        Refusal::GatesMeanwhile => "gates_meanwhile",
        Refusal::GatesUnderLock => "gates_under_lock",
        Refusal::Rewritten { .. } => "rewritten",
        Refusal::Outrun { .. } => "outrun",
        Refusal::LockTooLong { .. } => "lock_too_long",
        Refusal::AnotherPlan { .. } => "another_plan",
        Refusal::Expired { .. } => "expired",
    }
}

/// The figures of what was made, or rehearsed.
#[derive(Default)]
struct Made {
    event: Option<i64>,
    archived: Option<i64>,
    held_ms: Option<i64>,
    attempts: Option<u32>,
    answer: Option<&'static str>,
}

impl Made {
    fn of(stage: Stage<'_>) -> Self {
        match stage {
            Stage::Rehearsal(Rehearsal::Rehearsed { archived, held, attempts, .. }) => Self {
                archived: Some(*archived),
                held_ms: Some(ms(*held)),
                attempts: Some(*attempts),
                ..Self::default()
            },
            Stage::Drop(Outcome::Done(dropped), _) => Self {
                event: Some(dropped.event),
                archived: Some(dropped.archived),
                held_ms: Some(ms(dropped.held)),
                attempts: Some(dropped.attempts),
                answer: Some(match dropped.answer {
                    Answer::Commit => "commit",
                    Answer::Catalogue => "catalogue",
                    Answer::Earlier => "earlier",
                }),
            },
            Stage::Drop(Outcome::Unknown { event, .. }, _) => Self { event: Some(*event), ..Self::default() },
            _ => Self::default(),
        }
    }
}

impl<'a> Gate<'a> {
    fn of(result: &'a GateResult) -> Self {
        Self {
            name: result.gate.as_str(),
            verdict: result.verdict,
            found: result.found,
            allowed: result.allowed,
            expected: result.gate.expected(),
            evidence: &result.evidence,
            ids: result.ids.iter().map(ToString::to_string).collect(),
            fix: result.fix.as_deref(),
        }
    }
}

impl<'a> Estimate<'a> {
    fn of(estimate: &'a LockEstimate) -> Self {
        Self {
            total_ms: ms(estimate.total()),
            compare_ms: ms(estimate.compare),
            archive_ms: ms(estimate.archive),
            drop_ms: ms(estimate.drop),
            basis: &estimate.basis,
        }
    }
}

impl<'a> Session<'a> {
    fn of(session: &'a SessionSeen) -> Self {
        let SessionSeen { pid, application, role, state, age } = session;
        Self { pid: *pid, application, role, state, connected_s: age.as_secs() }
    }
}

impl<'a> Holder<'a> {
    fn of(holder: &'a LockHolder) -> Self {
        let LockHolder { pid, application, state, age, on } = holder;
        Self { pid: *pid, application, state, transaction_ms: age.map(ms), on }
    }
}

fn ms(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
