//! `cargo xtask tidy`: rules about the tree that no compiler and no lint checks.

pub(crate) mod snapshots;
mod source;
pub(crate) mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::{Outcome, workspace};

/// Check the tree: no unfinished code, no ignored test, no long file, no `unwrap()` outside tests, no pending
/// snapshot.
///
/// Exit 0 if there is nothing to say, 1 with findings. `cargo xtask test` also finds snapshots that no test uses.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Also compare the snapshot files with the list that a test run wrote (INSTA_SNAPSHOT_REFERENCES_FILE).
    #[arg(long, value_name = "FILE")]
    snapshot_references: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let root = workspace();
    let mut findings = source::check(&root)?;
    findings.extend(snapshots::pending(&root)?);
    if let Some(references) = &options.snapshot_references {
        findings.extend(snapshots::unreferenced(&root, references)?);
    }
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy");
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}
