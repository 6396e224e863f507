//! `sti status`

mod report;

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use sti_cli::answer::EXIT_CODES;
use sti_cli::signals::Listener;
use sti_cli::stderr::warn;
use sti_cli::{Answer, Common, Exit, Failure, Report as _, Target, stdout};
use sti_core::backfill::StopSignal;
use sti_core::backfill::status::{Condition, Status, StatusReader};
use sti_core::db::{Access, AnyConnection};

use self::report::StatusReport;

/// Show how the backfill stands: progress and pace, who works on it, what it waits for, what is in its way.
///
/// Reads only, in one snapshot, and takes no locks. It answers like the backfill itself: exit code 0 while somebody works
/// on the run or waits as told, when it is done or was given up, and when there was none; 1 when it has failed, or its
/// process was killed or stands still; 3 when it is under way and nobody works on it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// Look again every so many seconds until the run has ended, Ctrl-C, or nobody reads the output any more. Exit code 2
    /// when it is ended while the database cannot be reached.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti status")?;
    let mut look = Look { target: &target, connection: None, reader: StatusReader::default() };
    let mut status = look.now()?;
    let Some(seconds) = options.watch else {
        StatusReport::new(&target, &status).print(common.format)?;
        return Ok(exit(&status));
    };
    let (stop, time) = (StopSignal::default(), Duration::from_secs(seconds));
    let _listener = Listener::start(&stop, Exit::Failed)?;
    loop {
        clear_screen();
        StatusReport::new(&target, &status).print(common.format)?;
        if is_over(&status) || !wait(&stop, time) {
            return Ok(exit(&status));
        }
        status = loop {
            match look.now() {
                Ok(status) => break status,
                // What was seen before says nothing about now.
                Err(failure) if stop.is_set() => return Err(failure),
                Err(failure) => {
                    warn(format_args!("cannot look: {}; trying again", failure.message));
                    if !wait(&stop, time) {
                        return Err(failure);
                    }
                }
            }
        };
    }
}

/// Looks again and again, on a connection that is opened anew when it has failed.
struct Look<'t> {
    target: &'t Target,
    connection: Option<AnyConnection>,
    reader: StatusReader,
}

impl Look<'_> {
    fn now(&mut self) -> Result<Status, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.target.connect(Access::Read)?,
        };
        let status = self.reader.read(&mut connection)?;
        self.connection = Some(connection);
        Ok(status)
    }
}

/// Waits; false when it is asked to stop, or nobody reads any more.
fn wait(stop: &StopSignal, time: Duration) -> bool {
    const STEP: Duration = Duration::from_millis(200);
    let begun = Instant::now();
    while !stop.is_set() && stdout::is_read() {
        let left = time.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return true;
        }
        stop.rest(left.min(STEP));
    }
    false
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
