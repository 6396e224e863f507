//! The gates of the drop: what each asks, and what it found.

use std::fmt;
use std::str::FromStr;

use crate::models::ProjectId;

/// One condition that must hold before the legacy columns may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The schema fits, our migrations are applied, all five columns are there, and the role may drop them.
    Schema,
    /// No run of the backfill is active.
    BackfillIdle,
    /// No project is in quarantine. Only where `sti_backfill_quarantine` exists.
    Quarantine,
    /// Every published project of a known type has the row of its type.
    Coverage,
    /// Every draft of a known type that holds a value has the row of its type.
    DraftValues,
    /// No subtype row differs from the legacy columns.
    Drift,
    /// No project has a row of another kind only.
    WrongKind,
    /// No project has a row of each kind.
    BothKinds,
    /// No subtype row is without a project.
    Orphans,
    /// While the change log was on, no transaction changed legacy columns and left the subtype row behind: the proof
    /// that no writer of the legacy columns only is left. A plan cannot see it.
    LegacyWriters,
    /// No project is of unknown type. May be waived: the archive keeps the values.
    UnknownType,
    /// No project holds a value in the other kind's columns. May be waived: the archive keeps the values.
    StrayValues,
    /// Nothing else in the database depends on the columns.
    Dependents,
    /// No earlier restore is under way: it is filled, verified, and its triggers are gone.
    RestoreFinished,
    /// The time under the lock is no longer than allowed: on SQLite as it is estimated; on PostgreSQL it is bounded by
    /// the drop itself, whatever the size of the table.
    LockTime,
}

impl Gate {
    /// Every gate, in the order in which they are always reported.
    pub const ALL: [Self; 15] = [
        Self::Schema,
        Self::BackfillIdle,
        Self::Quarantine,
        Self::Coverage,
        Self::DraftValues,
        Self::Drift,
        Self::WrongKind,
        Self::BothKinds,
        Self::Orphans,
        Self::LegacyWriters,
        Self::UnknownType,
        Self::StrayValues,
        Self::Dependents,
        Self::RestoreFinished,
        Self::LockTime,
    ];

    /// The gate's stable name, as in `--waive stray-values=3`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::BackfillIdle => "backfill-idle",
            Self::Quarantine => "quarantine",
            Self::Coverage => "coverage",
            Self::DraftValues => "draft-values",
            Self::Drift => "drift",
            Self::WrongKind => "wrong-kind",
            Self::BothKinds => "both-kinds",
            Self::Orphans => "orphans",
            Self::LegacyWriters => "legacy-writers",
            Self::UnknownType => "unknown-type",
            Self::StrayValues => "stray-values",
            Self::Dependents => "dependents",
            Self::RestoreFinished => "restore-finished",
            Self::LockTime => "lock-time",
        }
    }

    /// What must hold, in a few words.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Schema => "the schema fits and may be changed by this role",
            Self::BackfillIdle => "no run of the backfill is active",
            Self::Quarantine => "no project is in quarantine",
            Self::Coverage => "every published project of a known type has its subtype row",
            Self::DraftValues => "every draft that holds a value has its subtype row",
            Self::Drift => "every subtype row equals the legacy columns",
            Self::WrongKind => "no project has a row of another kind only",
            Self::BothKinds => "no project has a row of each kind",
            Self::Orphans => "every subtype row has its project",
            Self::LegacyWriters => "nobody writes the legacy columns alone",
            Self::UnknownType => "every project is of a known type",
            Self::StrayValues => "no project holds a value of the other kind",
            Self::Dependents => "nothing else depends on the columns",
            Self::RestoreFinished => "no restore is under way",
            Self::LockTime => "the time under the lock is no longer than allowed",
        }
    }

    /// Whether a [`Waiver`](super::Waiver) may name it: what it finds is kept by the archive, and by nothing else.
    #[must_use]
    pub const fn may_be_waived(self) -> bool {
        matches!(self, Self::UnknownType | Self::StrayValues)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no gate's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no gate {0:?}: the gates are {names}", names = Gate::ALL.map(Gate::as_str).join(", "))]
pub struct UnknownGate(pub String);

impl FromStr for Gate {
    type Err = UnknownGate;

    fn from_str(text: &str) -> Result<Self, UnknownGate> {
        let named = |gate: &Self| gate.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or_else(|| UnknownGate(text.to_owned()))
    }
}

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What is expected is there.
    Pass,
    /// It found no more than a waiver allows; also when it found nothing any more.
    Waived,
    /// The drop is refused.
    Refused,
    /// It could not be asked, because another gate refused first. The drop is refused.
    NotAsked,
}

impl Verdict {
    /// Whether the drop may go on.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pass | Self::Waived)
    }

    /// The word for it, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Waived => "waived",
            Self::Refused => "refused",
            Self::NotAsked => "not_asked",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a gate found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GateResult {
    /// The gate.
    pub gate: Gate,
    /// What it says.
    pub verdict: Verdict,
    /// How many things are not as expected: projects, rows, objects. For [`Gate::LockTime`] milliseconds.
    pub found: i64,
    /// How many a waiver allows, 0 without one. For [`Gate::LockTime`] the milliseconds that are allowed.
    pub allowed: i64,
    /// What was found, in words, a line each.
    pub evidence: Vec<String>,
    /// The first projects that it is about, by id; at most [`GateResult::IDS`].
    pub ids: Vec<ProjectId>,
    /// The command that mends it, or what to do where no command does; only while the gate is shut.
    pub fix: Option<String>,
}

impl GateResult {
    /// The most ids that a result carries.
    pub const IDS: u32 = 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runbook_has_an_entry_for_every_gate() {
        let runbook = include_str!("../../../../docs/runbook.md");
        for gate in Gate::ALL {
            assert!(runbook.contains(&format!("<a id=\"{gate}\"></a>`{gate}`")), "{gate}");
        }
    }

    #[test]
    fn every_gate_is_found_by_its_name() {
        for gate in Gate::ALL {
            assert_eq!(gate.as_str().parse(), Ok(gate));
            assert_eq!(serde_json::to_value(gate).unwrap(), gate.as_str());
        }
        insta::assert_snapshot!("stray".parse::<Gate>().unwrap_err(), @r#"there is no gate "stray": the gates are schema, backfill-idle, quarantine, coverage, draft-values, drift, wrong-kind, both-kinds, orphans, legacy-writers, unknown-type, stray-values, dependents, restore-finished, lock-time"#);
    }
}
