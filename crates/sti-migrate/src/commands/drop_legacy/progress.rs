//! What a drop or a rehearsal does at the moment, and how it is asked to stop.

use std::io::IsTerminal as _;

use sti_cli::stderr::say;
use sti_cli::steps::Steps;
use sti_cli::{Exit, Failure, Target, number, signals};
use sti_core::backfill::StopSignal;
use sti_core::contract::{self, ContractError, DropOptions, Progress, Retry};
use sti_core::db::Access;
use sti_core::metrics;

use crate::commands::leftovers;

/// Does `work`, tells its steps, and asks it to stop at the first SIGINT or SIGTERM. At the second one the process ends
/// at once, with `second`.
pub(super) fn watch<T>(
    target: &Target,
    how: &DropOptions,
    second: Exit,
    work: impl FnOnce(&DropOptions, &mut dyn FnMut(&Progress)) -> Result<T, ContractError>,
) -> Result<T, Failure> {
    let stop = StopSignal::default();
    signals::stop_or_leave(&stop, second)?;
    let mut how = how.clone();
    how.interrupt = Some(target.interrupt(stop.clone(), Access::Write));
    let steps = Steps::begin(std::io::stderr().is_terminal(), stop);
    let ended = work(&how, &mut |progress| tell(&steps, progress));
    drop(steps);
    ended.map_err(|error| match error {
        ContractError::Stopped => stopped(target, &error),
        error => error.into(),
    })
}

fn stopped(target: &Target, error: &ContractError) -> Failure {
    let left = target.connect(Access::Write).ok().and_then(|mut open| contract::leftovers(&mut open).ok());
    let message = match left {
        None => "; `sti-migrate status` shows whether something of it is left".to_owned(),
        Some(left) if left.is_empty() || left.at_work() => ", and nothing of it is left".to_owned(),
        Some(left) => format!(
            "; somebody was in the way of taking away {}: `sti-migrate up` does it",
            leftovers::lines(&left).join("; ")
        ),
    };
    Failure::of(Exit::Stopped, format_args!("stopped: {error}{message}"), error)
}

fn tell(steps: &Steps, progress: &Progress) {
    steps.tell(match progress {
        Progress::Comparing => "comparing both sides of every project, in one snapshot".to_owned(),
        Progress::Watching => "making the triggers of the change log, one table after the other".to_owned(),
        Progress::ComparingAgain => {
            "comparing both sides again, in the snapshot that will be archived".to_owned()
        }
        Progress::Archiving { projects } => format!("archiving {} projects", number(*projects)),
        Progress::CaughtUp { round, entries, left } => format!(
            "change log: round {round} has worked off {} entries, {} are left",
            number(*entries),
            number(*left)
        ),
        Progress::Locking => "taking the locks on all three tables".to_owned(),
        Progress::Retry(retry) => return tell_retry(retry),
        Progress::CleaningUp => "taking away what was made ahead of the locks".to_owned(),
    });
}

fn tell_retry(retry: &Retry) {
    metrics::drop_locks_retried();
    let Retry { attempt, attempts, reason, holders, rest } = retry;
    say(format_args!(
        "attempt {attempt} of {attempts}: {reason}; rolled back, trying again in {:.1} s",
        rest.as_secs_f64()
    ));
    for holder in holders {
        say(format_args!("  {holder}"));
    }
}
