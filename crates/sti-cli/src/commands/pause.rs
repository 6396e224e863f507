//! `sti pause`, `sti resume` and `sti cancel`: what somebody tells a backfill from another terminal.

mod report;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common, Exit, Report as _, person};
use sti_core::backfill::control;
use sti_core::db::Access;

use self::report::{CancelReport, PauseReport, ResumeReport};

/// Pause the backfill of this database: its workers, wherever they run, finish their chunk and wait.
///
/// They hold no lock and no lease while they wait. The pause holds until `sti resume`, also for a run that begins later:
/// such a run waits before its first chunk. Pausing what is paused changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct PauseOptions {
    /// Why. Everyone who waits for the backfill gets to see it.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

/// End a pause: the workers that wait go on within a second.
///
/// A run that nobody works on needs `sti backfill` to be taken up. Resuming what is not paused changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ResumeOptions {}

/// Give up the run that is under way: its workers end after their chunk, with exit code 1.
///
/// Rows that it made stay, and the legacy columns have never been touched. The next `sti backfill` begins a new run,
/// which finds those rows equal. To stop for a while, use `sti pause`, or Ctrl-C where the backfill runs. A pause that
/// holds goes on holding. Without a run under way nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CancelOptions {
    /// Why. It is kept in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err("say why: it is what others get to see".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

pub(crate) fn pause(options: &PauseOptions, common: &Common) -> Answer {
    let target = common.database.resolve("sti pause")?;
    let paused = control::pause(&mut target.connect(Access::Write)?, &options.reason, &person::name())?;
    PauseReport::new(&target, &paused, &options.reason).print(common.format)?;
    Ok(Exit::Done)
}

pub(crate) fn resume(_options: &ResumeOptions, common: &Common) -> Answer {
    let target = common.database.resolve("sti resume")?;
    let ended = control::resume(&mut target.connect(Access::Write)?, &person::name())?;
    ResumeReport::new(&target, ended.as_ref()).print(common.format)?;
    Ok(Exit::Done)
}

pub(crate) fn cancel(options: &CancelOptions, common: &Common) -> Answer {
    let target = common.database.resolve("sti cancel")?;
    let mut connection = target.connect(Access::Write)?;
    let cancelled = control::cancel(&mut connection, &options.reason, &person::name())?;
    CancelReport::new(&target, cancelled.as_ref(), control::paused(&mut connection)?.is_some())
        .print(common.format)?;
    Ok(Exit::Done)
}
