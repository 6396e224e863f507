//! The entry point of the three binaries.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use crate::answer::{Answer, Failure, say};
use crate::common::Common;
use crate::telemetry::Telemetry;

/// The arguments of a binary.
pub trait Arguments: CommandFactory + FromArgMatches {
    /// Those that every command takes.
    fn common(&self) -> &Common;
}

/// Parses the arguments, opens the outputs of the metrics, runs the command, prints its failure to stderr as
/// `error: …`, tells the metrics how it ended, and gives the code to exit with.
pub fn main<A: Arguments>(command: impl FnOnce(&A) -> Answer) -> ExitCode {
    let mut definition = A::command();
    let matches = definition.clone().get_matches();
    let arguments = match A::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.format(&mut definition).exit(),
    };
    let name = name(definition.get_name(), &matches);
    let telemetry = match Telemetry::start(&arguments.common().telemetry, &name) {
        Ok(telemetry) => telemetry,
        Err(failure) => return ExitCode::from(told(&failure).code()),
    };
    let exit = command(&arguments).unwrap_or_else(|failure| told(&failure));
    if let Some(telemetry) = telemetry {
        telemetry.finish(exit);
    }
    ExitCode::from(exit.code())
}

fn told(failure: &Failure) -> crate::Exit {
    say(format_args!("error: {}", failure.message));
    failure.exit
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
