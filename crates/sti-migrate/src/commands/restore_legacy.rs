//! `sti-migrate restore-legacy`

mod finish;
mod progress;
mod report;

use sti_cli::answer::EXIT_CODES;
use sti_cli::signals::Listener;
use sti_cli::{Answer, Common, Exit, Failure, Report as _};
use sti_core::backfill::ChunkSize;
use sti_core::contract::restore::{Attempts, Restoration, RestoreError, RestoreOptions, restore};

use self::report::RestoreReport;

const AFTER_HELP: &str = "\
What each ending means here:
  0  restored and verified, now or before; or the triggers are gone
  1  nothing was dropped; the archive is not whole; the two sides do not agree yet; --finish before it is restored
  2  could not: usage, connection, rights, no drop on record
  3  stopped: the locks were not to be had, the connection was lost, or SIGINT. The same command goes on
  4  COMMIT got no answer, and the database cannot be asked; --finish: a second signal. The same command looks, and
     goes on";

/// Bring the legacy columns back, with the values that they had, and those that came since.
///
/// In one transaction the columns come back, nullable and with their definitions, and triggers on both subtype tables
/// that keep the columns level with the rows. On PostgreSQL that takes the same locks as the drop, waited for 0.1 s at a
/// time. Then the columns are filled in chunks: with the archived value where the subtype row says what it said at the
/// drop, with the row's value where it has been changed, and for projects that came since. A value that somebody else
/// has put into a column that is back is left as it is. At last both sides are compared, row by row; only if they agree
/// is the drop recorded as restored.
///
/// Services may run all the time, in dual or subtype mode. They notice the columns within 5 s and write both sides
/// again; legacy mode starts once the restore is done.
///
/// It may be stopped and run again at any point, and several may run at once. Once it is done and every service writes
/// both sides, --finish takes the triggers away.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{EXIT_CODES}\n\n{AFTER_HELP}"))]
pub(crate) struct Options {
    /// Take the triggers away, once the drop is restored. Before that it watches them, until 26 s after the columns came
    /// back and 20 s after the restore: by 6 s every service that uses sti-core has noticed the columns, and who writes
    /// subtype rows alone later than that is one who needs the triggers. It is refused then, and while that is less than
    /// 60 s ago. A writer that writes subtype rows only is left behind once they are gone.
    #[arg(long, conflicts_with = "chunk")]
    finish: bool,
    /// Projects in a chunk: they are locked together until it commits.
    #[arg(long, value_name = "N", value_parser = chunk_size, default_value = "1000")]
    chunk: ChunkSize,
    /// How often to try to get the locks.
    #[arg(long, value_name = "N", default_value_t = Attempts::default().attempts,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    attempts: u32,
}

/// How many projects of each class are shown where the two sides do not agree.
const SAMPLE: u32 = 5;

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let locks = Attempts { attempts: options.attempts, ..Attempts::default() };
    if options.finish {
        return finish::run(common, locks);
    }
    let target = common.database.resolve("sti-migrate restore-legacy")?;
    let how = RestoreOptions { chunk: options.chunk, locks, sample: SAMPLE, ..RestoreOptions::default() };
    let _listener = Listener::start(&how.stop, Exit::Stopped)?;
    let mut progress = progress::Lines::default();
    let restoration = restore(&mut target.connector(), &how, &mut |event| progress.tell(event))
        .map_err(|error| failure(&error))?;
    RestoreReport::new(&target, &restoration).print(common.format)?;
    Ok(exit(&restoration))
}

/// The one place that decides how a restore ends.
const fn exit(restoration: &Restoration) -> Exit {
    match restoration {
        Restoration::Done(_) | Restoration::Already { .. } => Exit::Done,
        Restoration::NothingDropped
        | Restoration::ArchiveIncomplete { .. }
        | Restoration::NotVerified { .. } => Exit::Negative,
        Restoration::Stopped(_) | Restoration::NotBegun { .. } => Exit::Stopped,
    }
}

/// What was committed stays in each case; what passes with time is worth the same command again.
fn failure(error: &RestoreError) -> Failure {
    let exit = match error {
        RestoreError::Unknown(_) => Exit::Unknown,
        RestoreError::Locked { .. }
        | RestoreError::Changed(_)
        | RestoreError::Interrupted { .. }
        | RestoreError::Interfered { .. } => Exit::Stopped,
        RestoreError::Stopped { source, .. } => Exit::of(source.fault()),
        _ => Exit::Failed,
    };
    let stopped = if exit == Exit::Stopped { "stopped: " } else { "" };
    Failure::of(exit, format_args!("{stopped}{error}"), error)
}

fn chunk_size(text: &str) -> Result<ChunkSize, String> {
    let projects = text.parse().map_err(|_| "expected a number of projects".to_owned())?;
    ChunkSize::new(projects).map_err(|error| error.to_string())
}
