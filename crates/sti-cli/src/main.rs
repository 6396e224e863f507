//! `sti`: fill the subtype tables of a live database, and count what is there.

mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = commands::Arguments::parse();
    sti_cli::run(|| arguments.command.run(&arguments.common))
}
