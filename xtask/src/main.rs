//! The project's own tasks: `cargo xtask TASK`. One file a task.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tasks talk to a person")]

mod bench;
mod failure;
mod monitoring;
mod sample;
mod squawk;
mod staging_check;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

/// The project's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
enum Task {
    StagingCheck(staging_check::Options),
    Test(test::Options),
    Tidy(tidy::Options),
    Monitoring(monitoring::Options),
    Sample(sample::Options),
    Squawk(squawk::Options),
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::StagingCheck(options) => staging_check::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Tidy(options) => tidy::run(&options),
        Task::Monitoring(options) => monitoring::run(&options),
        Task::Sample(options) => sample::run(&options),
        Task::Squawk(options) => squawk::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::from(2)
    })
}
