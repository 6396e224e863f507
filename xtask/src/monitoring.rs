//! `cargo xtask monitoring`: whether metrics, rules, dashboard and their documentation agree.

mod metrics_md;

use std::fs;
use std::process::ExitCode;

use crate::failure::{Failure, Outcome, workspace};

/// Check docs/monitoring.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write what is generated: docs/monitoring/metrics.md.
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let path = workspace().join(metrics_md::PATH);
    if options.write {
        fs::write(&path, metrics_md::render())
            .map_err(Failure::during(format!("write {}", metrics_md::PATH)))?;
    }
    Ok(ExitCode::SUCCESS)
}
