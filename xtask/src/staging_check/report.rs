//! The report: on the terminal as it comes, and as Markdown and JSON when it is whole.

mod json;
mod markdown;
pub(super) mod terminal;

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::environment::Environment;
use super::row::{Row, Verdict};
use crate::failure::Failure;

/// The whole of it.
pub(super) struct Report {
    pub(super) environment: Environment,
    /// What the walk does to the database.
    pub(super) place: String,
    /// Projects and seed of the sample; none for a staging copy.
    pub(super) sample: Option<(u64, u64)>,
    /// The defect that was planted.
    pub(super) planted: Option<String>,
    pub(super) rows: Vec<Row>,
    pub(super) took: Duration,
}

impl Report {
    /// Whether no step failed.
    pub(super) fn passes(&self) -> bool {
        self.count(Verdict::Fail) == 0 && self.count(Verdict::Pass) > 0
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// `PASS: 27 of 27 steps passed`
    pub(super) fn verdict(&self) -> String {
        let word = if self.passes() { "PASS" } else { "FAIL" };
        let (all, passed) = (self.rows.len(), self.count(Verdict::Pass));
        let others = [(Verdict::Fail, "failed"), (Verdict::NotRun, "not run")].map(|(verdict, what)| {
            let of: Vec<&str> =
                self.rows.iter().filter(|row| row.verdict == verdict).map(|row| row.id).collect();
            if of.is_empty() { String::new() } else { format!(", {} {what} ({})", of.len(), of.join(", ")) }
        });
        format!("{word}: {passed} of {all} steps passed{}", others.concat())
    }

    /// Writes `report.md` and `report.json`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Failure> {
        for (name, text) in [("report.md", markdown::text(self)), ("report.json", json::text(self)?)] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(Failure::during(format!("write {}", path.display())))?;
        }
        Ok(())
    }
}
