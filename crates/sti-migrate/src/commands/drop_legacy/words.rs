//! The sentences of the report.

use std::time::Duration;

use sti_core::contract::{Answer, DropPlan, Dropped, GateResult, Refusal, VALID, Verdict};
use sti_core::db::dialect::LockHolder;
use sti_core::mapping::PARENT;
use sti_core::models::Kind;

use sti_cli::number;

/// Another drop that is at work.
pub(super) fn another(drop: &LockHolder) -> String {
    let LockHolder { pid, application, state, age, .. } = drop;
    let pid = pid.map_or_else(|| "an unknown pid".to_owned(), |pid| format!("pid {pid}"));
    let name = if application.is_empty() { "its session is gone" } else { application };
    let state = if state.is_empty() { String::new() } else { format!(", {state}") };
    let age = age.map_or_else(String::new, |age| format!(", begun {} s ago", age.as_secs()));
    format!("{pid} ({name}){state}{age}")
}

pub(super) fn done(dropped: &Dropped) -> String {
    match dropped.answer {
        Answer::Commit => "Done: the legacy columns are dropped.".to_owned(),
        Answer::Catalogue => "Done: the legacy columns are dropped. The answer to COMMIT was lost; the database says \
                              that it was made."
            .to_owned(),
        Answer::Earlier => {
            "Done: the legacy columns were dropped by an earlier call with this digest; this one changed nothing."
                .to_owned()
        }
    }
}

pub(super) fn refused(why: &Refusal, plan: Option<&DropPlan>) -> String {
    let shut = || {
        let names: Vec<&str> =
            plan.into_iter().flat_map(refusing).map(|result| result.gate.as_str()).collect();
        format!("{} {}", if names.len() == 1 { "the gate" } else { "the gates" }, names.join(", "))
    };
    match why {
        Refusal::Gates => format!("{} shut", is(&shut(), plan)),
        Refusal::GatesUnderLock => {
            format!("under the locks {} found shut, which the plan had open", is(&shut(), plan))
        }
        Refusal::GatesMeanwhile => format!(
            "{} found shut by what was written while the drop was at work, which the plan had open",
            is(&shut(), plan)
        ),
        Refusal::Rewritten { table: Some(table) } => format!(
            "{} was emptied (TRUNCATE) while the drop was at work, so what was compared before says nothing any more",
            table_of(table)
        ),
        Refusal::Rewritten { table: None } => {
            "a table was written anew while the drop was at work, or the triggers of the change log were changed, so \
             what was compared before says nothing any more"
                .to_owned()
        }
        Refusal::Outrun { rounds, left } => format!(
            "writers were faster than {rounds} rounds of working off what they write; {} entries are left in the \
             change log",
            number(*left)
        ),
        Refusal::LockTooLong { held, allowed } => format!(
            "the locks were held for {}, {} are allowed, and the drop was not at its end",
            seconds(*held),
            seconds(*allowed)
        ),
        Refusal::AnotherPlan { given } => format!("{given} is not the digest of the plan of now"),
        Refusal::Expired { given, age } => format!(
            "the digest {given} is that of this plan, and {} old: a digest is good for {} h",
            hours(*age),
            VALID.as_secs() / 3600
        ),
    }
}

/// The table that the change log means.
fn table_of(written: &str) -> &str {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == written);
    kind.map_or(PARENT, Kind::table)
}

/// Whether nothing is to be mended, and another time may be a better one.
pub(super) const fn is_of_the_moment(why: &Refusal) -> bool {
    matches!(why, Refusal::Rewritten { .. } | Refusal::Outrun { .. } | Refusal::LockTooLong { .. })
}

/// The gates that refuse themselves; others may not have been asked because of them.
fn refusing(plan: &DropPlan) -> impl Iterator<Item = &GateResult> {
    plan.gates.iter().filter(|result| result.verdict == Verdict::Refused)
}

fn is(gates: &str, plan: Option<&DropPlan>) -> String {
    let one = plan.is_some_and(|plan| refusing(plan).count() == 1);
    format!("{gates} {}", if one { "is" } else { "are" })
}

pub(super) fn valid() -> String {
    format!("good for {} h", VALID.as_secs() / 3600)
}

pub(super) fn attempts(count: u32) -> String {
    format!("{count} attempt{}", if count == 1 { "" } else { "s" })
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn hours(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    format!("{} h {} min", minutes / 60, minutes % 60)
}

/// What a database said may have several lines.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_digest_is_told_from_a_wrong_one() {
        let given = "0123456789ab".to_owned();
        let age = Duration::from_secs((25 * 60 + 3) * 60 + 59);
        insta::assert_snapshot!(
            refused(&Refusal::Expired { given: given.clone(), age }, None),
            @"the digest 0123456789ab is that of this plan, and 25 h 3 min old: a digest is good for 24 h"
        );
        insta::assert_snapshot!(
            refused(&Refusal::AnotherPlan { given }, None),
            @"0123456789ab is not the digest of the plan of now"
        );
        assert_eq!(one_line("server closed\n\tthis\n; check"), "server closed this ; check");
    }
}
