//! `sti-migrate`: adopt or make the schema of the split, and say what state it is in.

mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = commands::Arguments::parse();
    sti_cli::run(|| arguments.command.run(&arguments.common))
}
