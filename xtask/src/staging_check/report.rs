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

/// Puts reports without a verdict into the folder: one that takes no files says so before the walk, and not after it.
pub(super) fn begin(folder: &Path) -> Result<(), Failure> {
    const NOTHING: &str = "This walk has not come to its end: nothing is known.";
    let json = serde_json::json!({ "verdict": "unknown", "exit_code": 2, "why": NOTHING });
    for (name, text) in [("report.md", format!("{NOTHING}\n")), ("report.json", format!("{json:#}\n"))] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Failure::during(format!("write {}", path.display())))?;
    }
    Ok(())
}

impl Report {
    /// Whether every step passed that was to run. One that should have run and did not has shown nothing.
    pub(super) fn passes(&self) -> bool {
        let bad = self.count(Verdict::Fail) + self.count(Verdict::NotRun);
        bad == 0 && self.count(Verdict::Pass) > 0
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// `PASS: 27 of 27 steps passed`, or `PASS: 19 of 27 steps passed, 8 left out (trap, …)`
    pub(super) fn verdict(&self) -> String {
        let word = if self.passes() { "PASS" } else { "FAIL" };
        let (all, passed) = (self.rows.len(), self.count(Verdict::Pass));
        let others = [
            (Verdict::Fail, "failed"),
            (Verdict::NotRun, "did not run and should have"),
            (Verdict::LeftOut, "left out"),
        ];
        let others = others.map(|(verdict, what)| {
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

#[cfg(test)]
mod tests {
    use super::super::row::Stop;
    use super::*;

    fn row(id: &'static str, ended: Result<(), Stop>) -> Row {
        let mut row = Row::new(id, "a step");
        if ended.is_ok() {
            row.equal("something", 1, 1);
        }
        row.close(ended, Duration::ZERO);
        row
    }

    fn report(rows: Vec<Row>) -> Report {
        let environment = Environment::default();
        let place = "a place".to_owned();
        Report { environment, place, sample: None, planted: None, rows, took: Duration::ZERO }
    }

    #[test]
    fn a_step_that_should_have_run_and_did_not_is_no_success() {
        let not_run = row("kill", Err(Stop::NotRun("nothing to stand on".to_owned())));
        let report = report(vec![row("expand", Ok(())), not_run]);
        assert!(!report.passes());
        assert_eq!(report.verdict(), "FAIL: 1 of 2 steps passed, 1 did not run and should have (kill)");
        let json: serde_json::Value = serde_json::from_str(&json::text(&report).unwrap()).unwrap();
        assert_eq!((&json["verdict"], &json["exit_code"]), (&"fail".into(), &1.into()));
        assert!(markdown::text(&report).contains("| 2 | kill | **NOT RUN** |"));
    }

    #[test]
    fn a_step_that_is_left_out_is_named_and_no_failure() {
        let left_out = row("drop", Err(Stop::LeftOut("on purpose".to_owned())));
        let report = report(vec![row("expand", Ok(())), left_out]);
        assert!(report.passes());
        assert_eq!(report.verdict(), "PASS: 1 of 2 steps passed, 1 left out (drop)");
        let json: serde_json::Value = serde_json::from_str(&json::text(&report).unwrap()).unwrap();
        assert_eq!((&json["summary"]["left_out"], &json["exit_code"]), (&1.into(), &0.into()));
        assert!(markdown::text(&report).contains("Left out: on purpose"));
    }

    #[test]
    fn nothing_at_all_is_no_success() {
        let left_out = row("drop", Err(Stop::LeftOut("on purpose".to_owned())));
        assert!(!report(vec![left_out]).passes());
        assert!(!report(Vec::new()).passes());
    }

    #[test]
    fn a_check_that_does_not_hold_fails_also_where_the_step_was_left() {
        let mut row = Row::new("finish", "a step");
        row.equal("something", 1, 2);
        row.close(Err(Stop::LeftOut("on purpose".to_owned())), Duration::ZERO);
        assert_eq!(row.verdict, Verdict::Fail);
    }
}
