//! From what is there to the next command.

use super::fit::LegacyColumns;
use crate::backfill::{LastRun, RunState, Scope};

const LIVE: &str = Scope::NonDraft.command();
const LIVE_WITH_DRAFTS: &str = Scope::All.command();

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Something does not fit: mend it, then adopt.
    Mend,
    /// Migrations are pending.
    Up,
    /// No run yet.
    DryRun,
    /// A run is under way, or was stopped.
    Resume,
    /// The last run ended badly or was given up.
    RunAgain,
    /// Every published project was worked on.
    Verify,
    /// The legacy columns are dropped: the split is done.
    Nothing,
}

impl NextStep {
    /// The one decision: what does not fit first, then what is missing, then the run.
    pub(super) fn after(fits: bool, migrated: bool, legacy: &LegacyColumns, run: Option<&LastRun>) -> Self {
        match (fits, migrated, legacy, run.map(|run| run.state)) {
            (false, ..) | (true, _, LegacyColumns::Missing(_), _) => Self::Mend,
            (true, false, ..) | (true, true, LegacyColumns::NoTable, _) => Self::Up,
            (true, true, LegacyColumns::Dropped, _) => Self::Nothing,
            (true, true, LegacyColumns::Present, None) => Self::DryRun,
            (true, true, LegacyColumns::Present, Some(RunState::Active)) => Self::Resume,
            (true, true, LegacyColumns::Present, Some(RunState::Abandoned | RunState::Failed)) => {
                Self::RunAgain
            }
            (true, true, LegacyColumns::Present, Some(RunState::Done)) => Self::Verify,
        }
    }

    /// Why, in one sentence.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Mend => "something does not fit: mend what is listed, then adopt the schema",
            Self::Up => "tables or migrations are missing",
            Self::DryRun => "the schema is ready: count what a backfill would do, then do it",
            Self::Resume => "a run is under way, or was stopped: the same command takes it up",
            Self::RunAgain => "the last run did not come to its end: see why, then run again",
            Self::Verify => "the last run came to its end: compare both sides, row by row",
            Self::Nothing => "the legacy columns are dropped: nothing is left to do",
        }
    }

    /// The commands to type, in order.
    #[must_use]
    pub const fn commands(self, run: Option<&LastRun>) -> &'static [&'static str] {
        let drafts = matches!(run, Some(LastRun { scope: Scope::All, .. }));
        match self {
            Self::Mend | Self::Up => &["sti-migrate up --dry-run", "sti-migrate up"],
            Self::DryRun => &["sti backfill --dry-run", LIVE],
            Self::Resume | Self::RunAgain if drafts => &[LIVE_WITH_DRAFTS],
            Self::Resume | Self::RunAgain => &[LIVE],
            Self::Verify => &["sti-verify"],
            Self::Nothing => &[],
        }
    }
}
