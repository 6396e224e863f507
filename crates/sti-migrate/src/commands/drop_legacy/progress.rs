//! What a drop or a rehearsal does at the moment, and how it is asked to stop.

use std::io::IsTerminal as _;

use sti_cli::signals::Listener;
use sti_cli::stderr::say;
use sti_cli::steps::Steps;
use sti_cli::{Exit, Failure, Target, number, retries};
use sti_core::backfill::StopSignal;
use sti_core::contract::{self, ContractError, DropEvent, DropOptions, Leftovers, Progress};
use sti_core::db::Access;
use sti_core::metrics;

use crate::commands::leftovers;

/// Listens to SIGINT and SIGTERM until it is dropped: the first one asks the work to stop, at a second one the process ends
/// at once.
pub(super) struct Watch<'t> {
    target: &'t Target,
    stop: StopSignal,
    _listener: Listener,
}

impl<'t> Watch<'t> {
    /// `second`: what the process ends with at a second signal.
    pub(super) fn start(target: &'t Target, second: Exit) -> Result<Self, Failure> {
        let stop = StopSignal::default();
        let listener = Listener::start(&stop, second)?;
        Ok(Self { target, stop, _listener: listener })
    }

    /// Does `work` and tells its steps.
    pub(super) fn over<T>(
        &self,
        how: &DropOptions,
        work: impl FnOnce(&DropOptions, &mut dyn FnMut(&Progress)) -> Result<T, ContractError>,
    ) -> Result<T, Failure> {
        let Self { target, stop, .. } = self;
        let mut how = how.clone();
        how.interrupt = Some(target.interrupt(stop.clone(), Access::Write));
        let steps = Steps::begin(std::io::stderr().is_terminal(), stop.clone(), ASKED);
        let ended = work(&how, &mut |progress| tell(&steps, progress));
        drop(steps);
        if ended.is_ok() && stop.is_set() {
            say("asked to stop too late; what it has come to:");
        }
        ended.map_err(|error| match error {
            ContractError::Stopped => stopped(target, &error),
            error => error.into(),
        })
    }
}

/// Said at the first signal.
const ASKED: &str =
    "asked to stop: what was made is being taken away; another signal leaves at once, and leaves it there";

fn stopped(target: &Target, error: &ContractError) -> Failure {
    let seen = target.connect(Access::Write).ok().and_then(|mut open| {
        let dropped = contract::events(&mut open).ok()?.into_iter().rfind(DropEvent::is_open);
        Some((contract::leftovers(&mut open).ok()?, dropped.map(|event| event.id)))
    });
    Failure::of(Exit::Stopped, format_args!("{error}{}", remains(seen)), error)
}

/// What there is now, of what could be asked: leftovers, and the drop that is not restored.
fn remains(seen: Option<(Leftovers, Option<i64>)>) -> String {
    match seen {
        None => "; `sti-migrate status` shows whether something of it is left".to_owned(),
        Some((_, Some(event))) => format!("; the columns are gone, by another one (drop event {event})"),
        Some((left, None)) if left.is_empty() => ", and nothing of it is left".to_owned(),
        Some((left, None)) if left.at_work() => {
            "; another one is at work, or the server has not ended this one yet: in a minute `sti-migrate status` shows \
             what is left"
                .to_owned()
        }
        Some((left, None)) => {
            format!(
                ". Left behind, until the next drop or `sti-migrate up`: {}",
                leftovers::lines(&left).join("; ")
            )
        }
    }
}

fn tell(steps: &Steps, progress: &Progress) {
    match progress {
        Progress::Retry(retry) => {
            metrics::drop_locks_retried();
            retries::tell(retry);
        }
        progress => steps.tell(words(progress)),
    }
}

fn words(progress: &Progress) -> String {
    match progress {
        Progress::Comparing => "comparing both sides of every project, in one snapshot".to_owned(),
        Progress::Watching => "making the triggers of the change log, one table after the other".to_owned(),
        Progress::ComparingAgain => {
            "comparing both sides again, in the snapshot that will be archived".to_owned()
        }
        Progress::Archiving { projects } => format!("archiving {} projects", number(*projects)),
        Progress::CaughtUp { round, entries, left } => format!(
            "change log: round {round} has worked off {} entries, {}{} are left",
            number(*entries),
            number(*left),
            if *left < COUNTED { "" } else { " or more" }
        ),
        Progress::Locking => "taking the locks on all three tables".to_owned(),
        Progress::Retry(retry) => retry.reason.clone(),
        Progress::CleaningUp => "taking away what was made ahead of the locks".to_owned(),
        Progress::ClearingLeftovers => {
            "taking away what a drop or rehearsal has left that was killed".to_owned()
        }
        Progress::Asking => {
            "the connection was lost at COMMIT: asking the database what became of it".to_owned()
        }
    }
}

/// So far entries are counted.
const COUNTED: i64 = 100_000;

#[cfg(test)]
mod tests {
    use sti_core::contract::UnmadeRun;
    use sti_core::db::sql_types::Timestamp;

    use super::*;

    #[test]
    fn every_step_in_words() {
        let caught_up = |left| Progress::CaughtUp { round: 3, entries: 12_345, left };
        let steps = [
            Progress::ClearingLeftovers,
            Progress::Comparing,
            Progress::Watching,
            Progress::ComparingAgain,
            Progress::Archiving { projects: 1_000_000 },
            caught_up(7),
            caught_up(COUNTED),
            Progress::Locking,
            Progress::CleaningUp,
            Progress::Asking,
        ];
        insta::assert_snapshot!(steps.iter().map(words).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn what_remains_is_never_said_to_be_less_than_it_is() {
        let left = |at_work| {
            let run = UnmadeRun { id: 7, begun_at: Timestamp::now(), rehearsal: false, at_work };
            Leftovers { runs: vec![run], archived: 5, ..Leftovers::default() }
        };
        let seen = [
            None,
            Some((Leftovers::default(), None)),
            Some((left(true), None)),
            Some((left(false), None)),
            Some((Leftovers::default(), Some(3))),
        ];
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:]+Z", "[moment]");
        settings.bind(|| insta::assert_snapshot!(seen.map(remains).join("\n")));
    }
}
