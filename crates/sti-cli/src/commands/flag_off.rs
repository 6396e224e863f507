//! What a command that makes subtype rows does while `ENABLE_STI` is off.

use sti_cli::stderr::{say, warn};
use sti_cli::{Exit, Failure, Target};
use sti_core::backfill::BackfillError;
use sti_core::db::{Access, Backend};
use sti_core::expand::{LegacyColumns, plan};
use sti_core::mapping::LEGACY_COLUMNS;
use sti_core::sync::{self, Installed, SyncStatus};

/// What writes subtype rows while a command runs with the flag off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Nothing, and somebody has said that nothing writes.
    Nothing,
    /// The sync triggers, which have to stay until the end.
    Triggers,
}

impl Meanwhile {
    /// The exit code behind the work, if it was to be `exit`: triggers that have gone may have left something behind.
    pub(super) fn judge(self, target: &Target, exit: Exit) -> Exit {
        if self == Self::Nothing {
            return exit;
        }
        let found = target.connect(Access::Read);
        match found.and_then(|mut open| Ok(sync::look(&mut open)?.installed)) {
            Ok(Installed::Yes) => exit,
            Ok(Installed::No | Installed::InPart) => {
                warn(
                    "the sync triggers that were there at the beginning are not there any more, or not all of them: what \
                     was written to the legacy columns since may be missing or stale in the subtype tables. Look with \
                     sti-verify",
                );
                if exit == Exit::Done { Exit::Negative } else { exit }
            }
            Err(error) => {
                warn(format_args!(
                    "whether the sync triggers are still there was not to be had: {}",
                    error.message
                ));
                exit
            }
        }
    }
}

/// Without dual writes, what a service writes behind `command` is missing from the subtype tables for good; unless
/// triggers carry it over, whoever writes.
pub(super) fn refuse(target: &Target, allowed: bool, command: &str) -> Result<Meanwhile, Failure> {
    if allowed {
        warn("ENABLE_STI is off; what a running service writes now is not in the subtype tables");
        return Ok(Meanwhile::Nothing);
    }
    let sync = match target.url.backend() {
        Backend::Postgres => sync::look(&mut target.connect(Access::Read)?)?,
        Backend::Sqlite => SyncStatus { installed: Installed::No, problems: Vec::new() },
    };
    if sync.installed == Installed::Yes {
        say(
            "ENABLE_STI is off here; the sync triggers carry over what is written to the legacy columns meanwhile",
        );
        return Ok(Meanwhile::Triggers);
    }
    if columns_are_gone(target) {
        return Err(BackfillError::LegacyColumnsGone.into());
    }
    let found = sync.remark().map(|remark| format!("\nAnd {remark}")).unwrap_or_default();
    Err(Failure::refused(format_args!(
        "refused: ENABLE_STI is off here, so this is no live run. A service in this mode does not write subtype \
         rows: what it writes while this command runs would be missing or stale afterwards. Nothing was written.\n\
         When every service runs with ENABLE_STI=true:\n    ENABLE_STI=true {command}\n\
         To see what would be done:\n    sti backfill --dry-run\n\
         When every service is stopped:\n    {command} --allow-flag-off{found}"
    )))
}

/// After the drop no setting of the flag helps. A database that cannot be asked is no reason to keep quiet of the flag.
fn columns_are_gone(target: &Target) -> bool {
    let found = target.connect(Access::Read).ok().and_then(|mut open| plan(&mut open).ok());
    match found.map(|plan| plan.legacy) {
        Some(LegacyColumns::Dropped) => true,
        Some(LegacyColumns::Missing(missing)) => missing.len() == LEGACY_COLUMNS.len(),
        Some(LegacyColumns::Present | LegacyColumns::NoTable) | None => false,
    }
}
