//! Which projects a backfill is about.

use super::ledger::RunId;
use super::quarantine;
use crate::db::Backend;
use crate::mapping::PARENT;
use crate::models::Kind;
use crate::subtype_rows::fill::{lacks_row_of_sql, lacks_row_sql};

/// Which projects a run covers. It binds every resume of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Published projects only, as the rollout plan has it.
    #[default]
    NonDraft,
    /// Drafts too.
    All,
}

impl Scope {
    /// Whether drafts are covered.
    #[must_use]
    pub const fn includes_drafts(self) -> bool {
        matches!(self, Self::All)
    }

    /// The command that backfills it live, as it works when it is typed: the flag may be off in that terminal.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::NonDraft => "ENABLE_STI=true sti backfill",
            Self::All => "ENABLE_STI=true sti backfill --include-drafts",
        }
    }

    pub(super) const fn of(include_drafts: bool) -> Self {
        if include_drafts { Self::All } else { Self::NonDraft }
    }

    /// SQL: true for a project `p` in scope.
    pub(super) const fn condition_sql(self) -> &'static str {
        match self {
            Self::NonDraft => "NOT p.is_draft",
            Self::All => "TRUE",
        }
    }

    /// SQL: true for a project `p` in scope that a sweep of a run has to look at: the first one at every project, the
    /// later ones at those that are missing.
    pub(super) fn sweep_condition_sql(self, run: RunId, sweep: i32, backend: Backend) -> String {
        if sweep <= 1 { self.condition_sql().to_owned() } else { self.missing_sql(run, backend) }
    }

    /// SQL: true for a project `p` in scope that lacks its row, and for which the run knows no reason.
    fn missing_sql(self, run: RunId, backend: Backend) -> String {
        self.unexplained_sql(&lacks_row_sql(backend), run)
    }

    /// SQL: how many projects lack their row, of those in scope for which the run knows no reason. One subquery, and so one
    /// join, for each kind.
    pub(super) fn count_missing_sql(self, run: RunId, backend: Backend) -> String {
        let of = |kind: Kind| {
            let lacks_row = self.unexplained_sql(&lacks_row_of_sql(kind, backend), run);
            format!("(SELECT count(*) FROM {PARENT} p WHERE {lacks_row})")
        };
        Kind::ALL.map(of).join(" + ")
    }

    fn unexplained_sql(self, lacks_row: &str, run: RunId) -> String {
        format!("{} AND {lacks_row} AND NOT {}", self.condition_sql(), quarantine::is_quarantined_sql(run))
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NonDraft => "non-draft projects",
            Self::All => "all projects, drafts included",
        })
    }
}
