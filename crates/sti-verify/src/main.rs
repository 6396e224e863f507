//! `sti-verify`: verify, row by row and field by field, that both sides of the split agree; and repair what does not.

mod arguments;
mod check;
mod ids_out;
mod repair;
mod samples;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    sti_cli::run(|| match arguments.repair() {
        None => check::run(&arguments),
        Some(repair) => repair::run(&arguments, &repair),
    })
}
