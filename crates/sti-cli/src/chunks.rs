//! Work in chunks as the person sees it: how far it has come, what it waits for, and how it is asked to stop.

use std::io::IsTerminal as _;

use sti_core::ChunkEvent;
use sti_core::backfill::StopSignal;

use crate::answer::{Exit, Failure};
use crate::document::{number, percent};
use crate::retries;
use crate::signals::Listener;
use crate::stderr::say;
use crate::steps::Steps;

/// Said at the first signal.
const ASKED: &str = "asked to stop, which it does behind the plan or the chunk that is under way; another signal leaves at once";

/// Does `work`, which is handed the signal to look at and whom to tell, and shows how far it has come. Until it is over,
/// SIGINT and SIGTERM ask it to stop; a second one exits with 3. `preparing` is what it does before the first chunk,
/// `unit` what is counted: `rows deleted`.
///
/// # Errors
/// The handlers of the signals could not be installed; nothing was done.
pub fn watched<T>(
    preparing: &str,
    unit: &'static str,
    work: impl FnOnce(&StopSignal, &mut dyn FnMut(&ChunkEvent)) -> T,
) -> Result<T, Failure> {
    let stop = StopSignal::default();
    let _listener = Listener::start(&stop, Exit::Stopped)?;
    let steps = Steps::begin(std::io::stderr().is_terminal(), stop.clone(), ASKED);
    steps.tell(preparing);
    let mut all = 0;
    let worked = work(&stop, &mut |event| match event {
        ChunkEvent::Begun { of } => {
            all = *of;
            steps.tell(words(0, all, unit));
        }
        ChunkEvent::Committed { done } => steps.tell(words(*done, all, unit)),
        ChunkEvent::Retried(retry) => retries::tell(retry),
    });
    drop(steps);
    if stop.is_set() {
        say("asked to stop; what it has come to:");
    }
    Ok(worked)
}

/// More may have been done than there was to do: others go on writing.
fn words(done: i64, of: i64, unit: &str) -> String {
    format!("{} of {} {unit} ({})", number(done), number(of.max(done)), percent(done, of.max(done)))
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn how_far_it_has_come() {
        assert_eq!(words(1_500, 12_000, "rows deleted"), "1,500 of 12,000 rows deleted (12.5%)");
        assert_eq!(words(7, 5, "rows deleted"), "7 of 7 rows deleted (100.0%)");
        assert_eq!(words(0, 0, "changes"), "0 of 0 changes (-)");
    }
}
