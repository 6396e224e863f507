//! One row of the report: a step, what it ran, what was expected and what was found.

use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::everything::Everything;
use super::tools::Ran;
use crate::failure::Failure;

/// What a step ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Everything that was expected was found.
    Pass,
    /// Something else was found, or the step could not be carried through.
    Fail,
    /// It should have run and did not: it had nothing to stand on. The walk has not shown what it was to show.
    NotRun,
    /// It was left out on purpose, or there is nothing in this database that it could work on.
    LeftOut,
}

impl Verdict {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::NotRun => "NOT RUN",
            Self::LeftOut => "left out",
        }
    }
}

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) holds: bool,
}

impl Check {
    /// Whether it repeats what stands behind the command itself.
    pub(super) fn is_exit_code(&self) -> bool {
        self.what.starts_with(EXIT_CODE)
    }
}

const EXIT_CODE: &str = "exit code of ";

/// A step in the making, and when it is made.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) checks: Vec<Check>,
    pub(super) commands: Vec<Ran>,
    /// Why it was not run, or was not carried through.
    pub(super) why: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

/// Why a step ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nothing to stand on.
    NotRun(String),
    /// Not to be done here.
    LeftOut(String),
    /// It could not be carried through.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Row {
    pub(super) fn new(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title,
            checks: Vec::new(),
            commands: Vec::new(),
            why: None,
            verdict: Verdict::NotRun,
            took: Duration::ZERO,
        }
    }

    /// Expected and found must be equal.
    pub(super) fn equal<T: PartialEq + Display>(&mut self, what: impl Into<String>, expected: T, found: T) {
        let (holds, shown) = (expected == found, [expected, found].map(|value| value.to_string()));
        let [expected, found] = shown;
        self.note(what, expected, found, holds);
    }

    /// Something must hold that is not an equality.
    pub(super) fn holds(
        &mut self,
        what: impl Into<String>,
        expected: impl Display,
        found: impl Display,
        holds: bool,
    ) {
        self.note(what, expected.to_string(), found.to_string(), holds);
    }

    /// The exit code of the last command.
    pub(super) fn exit(&mut self, ran: &Ran, expected: i32) {
        let what = format!("{EXIT_CODE}`{}`", ran.line);
        let holds = ran.exit == Some(expected);
        self.note(what, expected.to_string(), ran.exit_words(), holds);
    }

    /// A value in a tool's JSON, compared with what our own SQL says.
    pub(super) fn says(&mut self, what: &str, json: &Value, pointer: &str, expected: i64) {
        let said = json.pointer(pointer);
        let found = said.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let holds = said.and_then(Value::as_i64) == Some(expected);
        self.note(format!("{what}: our SQL, and the tool's report"), expected.to_string(), found, holds);
    }

    /// The database must be as it was.
    pub(super) fn unchanged(&mut self, what: impl Into<String>, before: &Everything, now: &Everything) {
        let changes = now.changes_since(before);
        let found = if changes.is_empty() { "nothing changed".to_owned() } else { changes.join("; ") };
        self.note(what, "nothing changed".to_owned(), found, changes.is_empty());
    }

    fn note(&mut self, what: impl Into<String>, expected: String, found: String, holds: bool) {
        self.checks.push(Check { what: what.into(), expected, found, holds });
    }

    /// What was checked before the step ended without its end must hold all the same.
    fn without(&mut self, why: String, verdict: Verdict) -> Verdict {
        self.why = Some(why);
        if self.checks.iter().all(|check| check.holds) { verdict } else { Verdict::Fail }
    }

    /// Takes in how the step ended.
    pub(super) fn close(&mut self, ended: Result<(), Stop>, took: Duration) {
        self.took = took;
        let all_hold = !self.checks.is_empty() && self.checks.iter().all(|check| check.holds);
        self.verdict = match ended {
            Ok(()) if all_hold => Verdict::Pass,
            Ok(()) => Verdict::Fail,
            Err(Stop::NotRun(why)) => self.without(why, Verdict::NotRun),
            Err(Stop::LeftOut(why)) => self.without(why, Verdict::LeftOut),
            Err(Stop::Failed(failure)) => {
                self.why = Some(failure.to_string());
                Verdict::Fail
            }
        };
    }
}
