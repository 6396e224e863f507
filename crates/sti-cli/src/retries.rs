//! An attempt at locks that failed, on standard error.

use sti_core::expand::Retry;

use crate::stderr::say;

/// Tells of it, and who was in the way.
pub fn tell(retry: &Retry) {
    let Retry { attempt, attempts, reason, holders, rest } = retry;
    say(format_args!(
        "attempt {attempt} of {attempts}: {reason}; rolled back, trying again in {:.1} s",
        rest.as_secs_f64()
    ));
    for holder in holders {
        say(format_args!("  {holder}"));
    }
}
