//! `cargo xtask bench`: the engines against what the databases themselves can do.

mod backfill;
mod commands;
mod drop;
mod figures;
mod place;
mod process;
mod restore;
mod verify;
mod writers;

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Outcome, workspace};

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
    Verify(verify::Options),
    Drop(drop::Options),
    Restore(restore::Options),
}

pub(crate) fn run(options: &Options) -> Outcome {
    match &options.bench {
        Bench::Backfill(options) => backfill::run(options),
        Bench::Verify(options) => verify::run(options),
        Bench::Drop(options) => drop::run(options),
        Bench::Restore(options) => restore::run(options),
    }
}

/// Makes the release build of a package.
fn build(package: &str) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "-p", package]).current_dir(workspace());
    let status = command.status().map_err(Failure::during("run cargo"))?;
    if status.success() { Ok(()) } else { Err(Failure::new("the release build failed")) }
}

/// A binary of the release build.
fn built(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), Into::into);
    target.join("release").join(name)
}
