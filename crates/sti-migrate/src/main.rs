//! `sti-migrate`: adopt or make the schema of the split, and say what state it is in.

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    sti_cli::main(|arguments: &commands::Arguments| arguments.command.run(&arguments.common))
}
