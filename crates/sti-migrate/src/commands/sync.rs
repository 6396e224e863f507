//! `sti-migrate sync`

mod report;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common, Exit, Failure, Report as _, retries};
use sti_core::db::Access;
use sti_core::sync::{self, Attempts, Install, Installed, SyncError};

use self::report::{Stage, SyncReport};

/// Keep subtype rows right by triggers, for writers that do not embed the library. PostgreSQL only.
///
/// A writer that knows only the legacy columns (a Django application, a job, a person with a client) leaves the subtype
/// rows behind. With these triggers on projects_project the database carries over what it writes: new projects, changes of
/// the five columns or of project_type, deletes. They work with the rights of who installs them, so the writer's role needs
/// none on the subtype tables.
///
/// One direction only, and only what really changes: a save that names every column and changes none does nothing, and a
/// row that has drifted keeps what was not written. What a trigger overwrites, or deletes in a change of type, and no legacy
/// column says goes to sti_repair_log; with a project that is deleted its row goes unsaved. What differed before is not
/// mended: sti backfill and sti-verify are for that.
///
/// A writer that makes subtype rows itself, by INSERT without ON CONFLICT, meets the row that the trigger has made: such a
/// writer does not want these triggers. Services that embed the library go on beside them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Install(InstallOptions),
    /// Say whether the triggers are there, and as they should be. Reads only.
    ///
    /// Exit code 0 only if all of it is there and fires: 1 if there are none, and if a part is missing, disabled, or not as
    /// this version makes it; each is named. For the checks that watch over a database that relies on them.
    #[command(after_help = EXIT_CODES)]
    Status,
    Remove(RemoveOptions),
}

/// Make the triggers, or mend what is there of them.
///
/// One transaction. It waits for the transactions that have written to projects_project, 0.1 s at a time, so long may
/// writers queue behind it (readers do not); then it gives up and tries again after a rest. What they wrote is there for
/// a backfill; what comes after is carried over.
///
/// Refused (exit code 1) where the schema does not fit or is not migrated, after the drop, and until a restore is finished.
/// While they are installed, an application's own migration cannot change the type of the five columns.
///
/// To undo it: sti-migrate sync remove.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
struct InstallOptions {
    #[command(flatten)]
    locks: Locks,
}

/// Take the triggers away.
///
/// One transaction, under a lock on projects_project that readers meet too, waited for 0.1 s at a time. From then on a
/// writer that writes the legacy columns only leaves the subtype rows behind. sti-migrate drop-legacy takes them away
/// itself.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
struct RemoveOptions {
    #[command(flatten)]
    locks: Locks,
}

#[derive(Debug, clap::Args)]
struct Locks {
    /// How often to try to get the lock.
    #[arg(long, value_name = "N", default_value_t = Attempts::default().attempts,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    attempts: u32,
}

impl Locks {
    fn attempts(&self) -> Attempts {
        Attempts { attempts: self.attempts, ..Attempts::default() }
    }
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    match &options.command {
        Command::Install(options) => install(options, common),
        Command::Status => status(common),
        Command::Remove(options) => remove(options, common),
    }
}

fn install(options: &InstallOptions, common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate sync install")?;
    let install = sync::install(&mut target.connector(), options.locks.attempts(), &mut retries::tell)
        .map_err(failure)?;
    SyncReport::new(&target, Stage::Install(&install)).print(common.format)?;
    Ok(match install {
        Install::Done { .. } | Install::Already => Exit::Done,
        Install::Refused(_) => Exit::Negative,
    })
}

fn status(common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate sync status")?;
    let mut connection = target.connect(Access::Read)?;
    let status = sync::status(&mut connection)?;
    let blockers = match status.installed {
        Installed::Yes => Vec::new(),
        Installed::InPart | Installed::No => sync::blockers(&mut connection)?,
    };
    SyncReport::new(&target, Stage::Status(&status, &blockers)).print(common.format)?;
    Ok(if status.installed == Installed::Yes { Exit::Done } else { Exit::Negative })
}

fn remove(options: &RemoveOptions, common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate sync remove")?;
    let remove = sync::remove(&mut target.connector(), options.locks.attempts(), &mut retries::tell)
        .map_err(failure)?;
    SyncReport::new(&target, Stage::Remove(&remove)).print(common.format)?;
    Ok(Exit::Done)
}

fn failure(error: SyncError) -> Failure {
    match error {
        SyncError::Locked { .. } => Failure::of(Exit::Stopped, format_args!("stopped: {error}"), &error),
        SyncError::Unknown(_) => Failure::of(Exit::Unknown, &error, &error),
        error => error.into(),
    }
}
