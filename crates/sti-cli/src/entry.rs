//! The entry point of the three binaries.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::answer::{Answer, Exit, Failure};
use crate::common::Common;
use crate::logs::{self, LogFormat, Logs, arguments::asks_for_json};
use crate::stderr::{self, show, tell_of_logs};
use crate::telemetry::Telemetry;

/// The arguments of a binary.
pub trait Arguments: CommandFactory + FromArgMatches {
    /// Those that every command takes.
    fn common(&self) -> &Common;
}

/// Parses the arguments, opens the log and the outputs of the metrics, runs the command, prints its failure to stderr as
/// `error: …`, tells log and metrics how it ended, and gives the code to exit with.
pub fn main<A: Arguments>(command: impl FnOnce(&A) -> Answer) -> ExitCode {
    let mut definition = A::command();
    let parsed = definition.try_get_matches_from_mut(std::env::args_os());
    let parsed = parsed.and_then(|matches| Ok((A::from_arg_matches(&matches)?, matches)));
    let (arguments, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return misused(&error.format(&mut definition)),
    };
    let name = name(definition.get_name(), &matches);
    let logs = match Logs::start(&arguments.common().logs, &name) {
        Ok(logs) => logs,
        Err(failure) => return ExitCode::from(told(&failure).code()),
    };
    let exit = match Telemetry::start(&arguments.common().telemetry, &name) {
        Err(failure) => told(&failure),
        Ok(telemetry) => {
            let exit = command(&arguments).unwrap_or_else(|failure| told(&failure));
            if let Some(telemetry) = telemetry {
                telemetry.finish(exit);
            }
            exit
        }
    };
    logs.finish(exit);
    ExitCode::from(exit.code())
}

fn told(failure: &Failure) -> Exit {
    show(format_args!("error: {}", failure.message));
    logs::failure(failure);
    failure.exit
}

/// The help that was asked for, or what is wrong with the arguments.
fn misused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && asks_for_json(std::env::args_os()) {
        stderr::become_log(LogFormat::Json);
        tell_of_logs("ERROR", error.to_string().trim().trim_start_matches("error: "));
        return ExitCode::from(Exit::Failed.code());
    }
    error.exit()
}

/// The command with all its subcommands, as in `sti backfill`.
fn name(binary: &str, matches: &ArgMatches) -> String {
    let mut name = binary.to_owned();
    let mut matches = matches;
    while let Some((word, below)) = matches.subcommand() {
        name = format!("{name} {word}");
        matches = below;
    }
    name
}
