//! The plan's trigger that no metric has: somebody has seen that something is wrong, and has said `sti pause`.

use sti_cli::Target;
use sti_core::backfill::control;
use sti_core::db::{Access, AnyConnection, read_snapshot};

/// Whether the backfill of a database is paused.
pub(super) enum Pause {
    /// No database is named.
    NotAsked,
    /// It is not.
    None,
    /// It is: by whom, since when and why.
    Held(String),
    /// The database cannot be asked, and why not: a reason to stop, like all that cannot be read.
    Unreadable(String),
}

impl Pause {
    /// Asks the ledger.
    pub(super) fn ask(target: Option<&Target>) -> Self {
        let Some(target) = target else { return Self::NotAsked };
        let mut connection: AnyConnection = match target.connect(Access::Read) {
            Ok(connection) => connection,
            Err(failure) => return Self::Unreadable(failure.message),
        };
        match read_snapshot(&mut connection, control::paused) {
            Ok(None) => Self::None,
            Ok(Some(pause)) => Self::Held(format!(
                "paused by {} since {}: {}",
                pause.by,
                pause.since.0.format("%Y-%m-%d %H:%M:%S UTC"),
                pause.reason
            )),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    pub(super) const fn is_go(&self) -> bool {
        matches!(self, Self::NotAsked | Self::None)
    }

    /// What it says, in one word.
    pub(super) const fn answer(&self) -> &'static str {
        match self {
            Self::NotAsked => "not asked",
            Self::None => "go",
            Self::Held(_) => "stop",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Why.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::NotAsked => Some("no database is named"),
            Self::None => None,
            Self::Held(reason) | Self::Unreadable(reason) => Some(reason),
        }
    }
}
