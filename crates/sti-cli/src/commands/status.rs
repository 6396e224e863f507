//! `sti status`

mod report;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use sti_cli::answer::EXIT_CODES;
use sti_cli::signals::Listener;
use sti_cli::stderr::warn;
use sti_cli::{Answer, Common, Exit, Report as _};
use sti_core::backfill::StopSignal;
use sti_core::backfill::status::{Condition, Status, StatusReader};
use sti_core::db::Access;

use self::report::StatusReport;

/// Show how the backfill stands: progress and pace, who works on it, what it waits for, what is in its way.
///
/// Reads only, in one snapshot, and takes no locks. It answers like the backfill itself: exit code 0 while somebody works
/// on the run or waits as told, when it is done or was given up, and when there was none; 1 when it has failed, or its
/// process was killed or stands still; 3 when it is under way and nobody works on it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// Look again every so many seconds until the run has ended, or Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti status")?;
    let mut connection = target.connect(Access::Read)?;
    let mut reader = StatusReader::default();
    let status = reader.read(&mut connection)?;
    let Some(seconds) = options.watch else {
        StatusReport::new(&target, &status).print(common.format)?;
        return Ok(exit(&status));
    };
    let stop = StopSignal::default();
    let _listener = Listener::start(&stop, Exit::Stopped)?;
    let mut status = status;
    loop {
        clear_screen();
        StatusReport::new(&target, &status).print(common.format)?;
        if is_over(&status) || !wait(&stop, Duration::from_secs(seconds)) {
            return Ok(exit(&status));
        }
        status = loop {
            let read = reader.read(&mut connection);
            match read {
                Ok(status) => break status,
                Err(error) => warn(format_args!("cannot look: {error}; trying again")),
            }
            if !wait(&stop, Duration::from_secs(seconds)) {
                return Ok(exit(&status));
            }
            // It may have been lost; one that cannot be opened yet is tried again with the next look.
            if let Ok(opened) = target.connect(Access::Read) {
                connection = opened;
            }
        };
    }
}

/// Waits; false when it is asked to stop.
fn wait(stop: &StopSignal, time: Duration) -> bool {
    stop.rest(time);
    !stop.is_set()
}

/// On a terminal each look takes the place of the one before.
fn clear_screen() {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        let _ = out.write_all(b"\x1b[2J\x1b[H");
    }
}

fn is_over(status: &Status) -> bool {
    let condition = status.run.as_ref().map(|run| run.condition);
    matches!(condition, None | Some(Condition::Done | Condition::Failed | Condition::GivenUp))
}

fn exit(status: &Status) -> Exit {
    match status.run.as_ref().map(|run| run.condition) {
        Some(Condition::Failed | Condition::Stalled) => Exit::Negative,
        Some(Condition::Stopped) => Exit::Stopped,
        _ => Exit::Done,
    }
}
