//! The runs of all versions, one line each.

use std::process::ExitCode;

use super::results::Results;

/// One run.
#[derive(Debug)]
pub(super) struct Row {
    /// What the server reported, or what was asked for if there was no server.
    pub(super) version: String,
    pub(super) results: Results,
    pub(super) seconds: u64,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// A test failed, or the run proves less than it seems to.
    Failed,
    /// There was no server, or cargo did not run.
    CouldNot,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::CouldNot => "COULD NOT RUN",
        }
    }
}

/// The table. "On PostgreSQL" and "on SQLite" count the tests that bear the backend's name.
pub(super) fn render(rows: &[Row]) -> String {
    let heads = [
        "PostgreSQL",
        "passed",
        "on PostgreSQL",
        "on SQLite",
        "failed",
        "ignored",
        "binaries",
        "seconds",
        "result",
    ];
    let mut lines = vec![heads.map(str::to_owned)];
    for Row { version, results, seconds, verdict } in rows {
        let [passed, postgres, sqlite, failed, ignored, binaries] = results.figures();
        let figures = [passed, postgres, sqlite, failed, ignored, binaries, *seconds];
        let [a, b, c, d, e, f, g] = figures.map(|figure| figure.to_string());
        lines.push([version.clone(), a, b, c, d, e, f, g, verdict.word().to_owned()]);
    }
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let last = heads.len() - 1;
    let rendered: Vec<String> = lines
        .iter()
        .map(|line| {
            let cells: Vec<String> = (0..=last)
                .map(|column| match column {
                    0 => format!("{:<1$}", line[0], width(0)),
                    _ if column == last => line[last].clone(),
                    _ => format!("{:>1$}", line[column], width(column)),
                })
                .collect();
            cells.join("  ")
        })
        .collect();
    rendered.join("\n")
}

/// 2 if a version could not be tested, else 1 if one failed.
pub(super) fn exit_code(rows: &[Row]) -> ExitCode {
    ExitCode::from(worst(rows))
}

fn worst(rows: &[Row]) -> u8 {
    let is = |verdict| rows.iter().any(|row| row.verdict == verdict);
    if is(Verdict::CouldNot) { 2 } else { u8::from(is(Verdict::Failed) || rows.is_empty()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: &str, line: &str, verdict: Verdict) -> Row {
        let mut results = Results::default();
        results.read("test a::postgres ... ok");
        results.read(line);
        Row { version: version.to_owned(), results, seconds: 61, verdict }
    }

    #[test]
    fn one_line_for_each_version() {
        let rows = [
            row("14.23", "test result: ok. 540 passed; 0 failed; 0 ignored", Verdict::Passed),
            row("18.4", "test result: FAILED. 39 passed; 1 failed; 0 ignored", Verdict::Failed),
        ];
        assert_eq!(
            render(&rows),
            "PostgreSQL  passed  on PostgreSQL  on SQLite  failed  ignored  binaries  seconds  result\n\
             14.23          540              1          0       0        0         1       61  passed\n\
             18.4            39              1          0       1        0         1       61  FAILED"
        );
    }

    #[test]
    fn a_version_that_could_not_be_tested_is_worse_than_one_that_failed() {
        let of = |verdicts: &[Verdict]| {
            let rows: Vec<Row> = verdicts.iter().map(|verdict| row("15", "", *verdict)).collect();
            worst(&rows)
        };
        assert_eq!(of(&[Verdict::Passed, Verdict::Passed]), 0);
        assert_eq!(of(&[Verdict::Passed, Verdict::Failed]), 1);
        assert_eq!(of(&[Verdict::CouldNot, Verdict::Failed]), 2);
        assert_eq!(of(&[]), 1);
    }
}
