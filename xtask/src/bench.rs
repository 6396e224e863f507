//! `cargo xtask bench`: the engines against what the databases themselves can do.

mod backfill;
mod drop;
mod figures;
mod place;
mod process;

use crate::failure::Outcome;

/// Measure the engines against what the databases themselves can do.
///
/// Everything that is compared is measured in one run, in turns, on a fresh copy of the same sample each time: only
/// the ratios mean something on another machine. The figures are printed and saved under target/bench.
///
/// Exit code: 0 when every bar is reached, 1 when one is missed, 2 when nothing could be measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    Backfill(backfill::Options),
    Drop(drop::Options),
}

pub(crate) fn run(options: &Options) -> Outcome {
    match &options.bench {
        Bench::Backfill(options) => backfill::run(options),
        Bench::Drop(options) => drop::run(options),
    }
}
