//! What a command that makes subtype rows does while `ENABLE_STI` is off.

use sti_cli::stderr::{say, warn};
use sti_cli::{Failure, Target};
use sti_core::db::{Access, Backend};
use sti_core::sync::{self, Installed, SyncStatus};

/// Without dual writes, what a service writes behind `command` is missing from the subtype tables for good; unless
/// triggers carry it over, whoever writes.
pub(super) fn refuse(target: &Target, allowed: bool, command: &str) -> Result<(), Failure> {
    if allowed {
        warn("ENABLE_STI is off; what a running service writes now is not in the subtype tables");
        return Ok(());
    }
    let sync = match target.url.backend() {
        Backend::Postgres => sync::look(&mut target.connect(Access::Read)?)?,
        Backend::Sqlite => SyncStatus { installed: Installed::No, problems: Vec::new() },
    };
    if sync.installed == Installed::Yes {
        say(
            "ENABLE_STI is off here; the sync triggers carry over what is written to the legacy columns meanwhile",
        );
        return Ok(());
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
