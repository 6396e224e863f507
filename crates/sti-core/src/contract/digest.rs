//! What confirms a plan. The minute in which the plan was made goes into its digest, so a digest is recognized by
//! trying the minutes of the last days: nothing has to be stored where a plan only looks, and an old digest can be
//! told from a wrong one.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::gate::GateResult;
use super::plan::VALID;
use super::waiver::Waiver;

/// The version that a digest is good for.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How far back a digest is recognized as one that was good once.
const KNOWN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a digest covers, without the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Covered([u8; 32]);

/// What a digest that was given is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// That of this plan, made within [`VALID`].
    Good,
    /// That of this plan, made longer ago.
    Expired(Duration),
    /// No digest of this plan.
    Another,
}

impl Covered {
    pub(super) fn of(identity: &str, schema: &str, gates: &[GateResult], waivers: &[Waiver]) -> Self {
        let gates = gates.iter().map(|result| format!("{} {}\n", result.gate, result.verdict));
        let waivers = waivers.iter().map(|waiver| format!("{waiver}\n"));
        let said: String = gates.chain(waivers).collect();
        Self(Sha256::digest(format!("sti drop\n{identity}\n{schema}\n{VERSION}\n{said}")).into())
    }

    /// The digest of a plan that is made in this minute since 1970.
    pub(super) fn digest(&self, minute: i64) -> String {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(minute.to_be_bytes());
        short(&hash.finalize())
    }

    pub(super) fn check(&self, given: &str, now: i64) -> Given {
        let minutes = |of: Duration| i64::try_from(of.as_secs() / 60).unwrap_or(i64::MAX);
        let age = (0..=minutes(KNOWN)).find(|age| self.digest(now - age) == given);
        match age {
            Some(age) if age <= minutes(VALID) => Given::Good,
            Some(age) => Given::Expired(Duration::from_secs(age.unsigned_abs() * 60)),
            None => Given::Another,
        }
    }
}

/// 12 hex digits of a hash.
pub(super) fn short(hash: &[u8]) -> String {
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Gate, Verdict};

    const NOW: i64 = 29_000_000;

    fn gate(gate: Gate, verdict: Verdict, found: i64) -> GateResult {
        GateResult { gate, verdict, found, allowed: 3, evidence: Vec::new(), ids: Vec::new(), fix: None }
    }

    fn covered(verdict: Verdict, found: i64, waivers: &[Waiver]) -> Covered {
        Covered::of("here", "schema", &[gate(Gate::StrayValues, verdict, found)], waivers)
    }

    #[test]
    fn a_digest_is_good_for_a_day_and_known_for_a_week() {
        let covered = covered(Verdict::Pass, 0, &[]);
        let digest = covered.digest(NOW);
        assert_eq!(digest.len(), 12);
        let day = 24 * 60;
        assert_eq!(covered.check(&digest, NOW), Given::Good);
        assert_eq!(covered.check(&digest, NOW + day), Given::Good);
        assert_eq!(covered.check(&digest, NOW + day + 1), Given::Expired(VALID + Duration::from_secs(60)));
        assert_eq!(covered.check(&digest, NOW + 7 * day + 1), Given::Another);
        assert_eq!(covered.check(&digest, NOW - 1), Given::Another, "a plan of tomorrow");
    }

    #[test]
    fn a_digest_covers_verdicts_and_waivers_and_no_totals() {
        let base = covered(Verdict::Waived, 3, &["stray-values=3".parse().unwrap()]);
        assert_eq!(base, covered(Verdict::Waived, 1, &["stray-values=3".parse().unwrap()]));
        assert_ne!(base, covered(Verdict::Waived, 3, &["stray-values=4".parse().unwrap()]));
        assert_ne!(base, covered(Verdict::Refused, 3, &["stray-values=3".parse().unwrap()]));
        let gates = [gate(Gate::StrayValues, Verdict::Pass, 0)];
        assert_ne!(Covered::of("here", "schema", &gates, &[]), Covered::of("there", "schema", &gates, &[]));
        assert_ne!(Covered::of("here", "schema", &gates, &[]), Covered::of("here", "another", &gates, &[]));
    }
}
