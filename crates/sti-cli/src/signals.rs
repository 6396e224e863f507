//! SIGINT and SIGTERM: the first one asks for a stop (of a backfill after the chunk that is under way, of a verification
//! or of a drop at once), the second one leaves at once (the database then rolls back what is open).

use signal_hook::consts::{SIGINT, SIGTERM};
use sti_core::backfill::StopSignal;

use crate::answer::{Exit, Failure};

/// Sets `stop` at the first signal; exits with code 3 at the second.
///
/// # Errors
/// The handlers could not be installed.
pub fn stop_on_interrupt(stop: &StopSignal) -> Result<(), Failure> {
    stop_or_leave(stop, Exit::Stopped)
}

/// Sets `stop` at the first signal; ends with `second` at the second one.
///
/// # Errors
/// The handlers could not be installed.
pub fn stop_or_leave(stop: &StopSignal, second: Exit) -> Result<(), Failure> {
    let install = || -> std::io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag set by the first.
            signal_hook::flag::register_conditional_shutdown(signal, i32::from(second.code()), stop.flag())?;
            signal_hook::flag::register(signal, stop.flag())?;
        }
        Ok(())
    };
    install().map_err(|e| Failure::failed(format_args!("cannot install the signal handlers: {e}")))
}
