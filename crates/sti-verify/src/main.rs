//! `sti-verify`: verify, row by row and field by field, that both sides of the split agree; and repair what does not.

mod arguments;
mod check;
mod ids_out;
mod repair;
mod samples;

use std::process::ExitCode;

fn main() -> ExitCode {
    sti_cli::main(|arguments: &arguments::Arguments| match arguments.repair() {
        None => check::run(arguments),
        Some(repair) => repair::run(arguments, &repair),
    })
}
