//! The ways to verify that are measured beside each other.

use std::fmt;
use std::process::Command;
use std::time::Instant;

use super::statement;
use crate::bench::built;
use crate::bench::process::{Measured, measure};
use crate::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contender {
    /// One statement that counts every class.
    Statement,
    /// `sti-verify`, counts only.
    Pass,
    /// `sti-verify` as it is called without arguments.
    Samples,
    /// `sti-verify` with the ids of all findings in a file.
    Ids,
}

impl Contender {
    /// Each, the one that the others are compared with first.
    pub(super) const ALL: [Self; 4] = [Self::Statement, Self::Pass, Self::Samples, Self::Ids];

    pub(super) fn run(self, url: &str) -> Result<Measured, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::during("make a temporary folder"))?;
        match self {
            Self::Statement => {
                let began = Instant::now();
                statement::counts(url)?;
                Ok(Measured { seconds: began.elapsed().as_secs_f64(), peak_kib: None })
            }
            Self::Pass => measure(sti_verify(url).arg("--sample=0"), 1),
            Self::Samples => measure(&mut sti_verify(url), 1),
            Self::Ids => measure(
                sti_verify(url).arg("--sample=0").arg("--ids-out").arg(folder.path().join("ids.tsv")),
                1,
            ),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Statement => "one SQL statement",
            Self::Pass => "sti-verify --sample 0",
            Self::Samples => "sti-verify",
            Self::Ids => "sti-verify --sample 0 --ids-out",
        })
    }
}

/// `sti-verify` of the release build.
pub(super) fn sti_verify(url: &str) -> Command {
    let mut command = Command::new(built("sti-verify"));
    command.args(["--database-url", url]);
    command
}
