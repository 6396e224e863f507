//! What is told of any command.

use std::time::Duration;

use metrics::gauge;

use super::catalogue::{COMMAND, COMMAND_COMPLETION, COMMAND_DURATION, COMMAND_EXIT};
use super::now;

/// Tells how a command (as in `sti backfill`) ended, and how long it took.
pub fn command_ended(command: &str, exit_code: u8, duration: Duration) {
    COMMAND.iter().for_each(|metric| metric.describe());
    gauge!(COMMAND_EXIT.name, "command" => command.to_owned()).set(f64::from(exit_code));
    gauge!(COMMAND_DURATION.name, "command" => command.to_owned()).set(duration.as_secs_f64());
    gauge!(COMMAND_COMPLETION.name, "command" => command.to_owned()).set(now());
}
