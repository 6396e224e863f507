//! `sti`: fill the subtype tables of a live database, and count what is there.

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    sti_cli::main(|arguments: &commands::Arguments| arguments.command.run(&arguments.common))
}
