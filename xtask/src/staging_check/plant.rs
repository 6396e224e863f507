//! Defects that are planted on purpose, to show that the check can fail: each turns exactly its own row to FAIL.
//!
//! Most alter the database in plain SQL, right before a step's commands or between its commands and its checks, and are
//! taken back after that step, so that the steps behind it stand on their own. What no alteration can show (a tool that
//! says what is not so) replaces the tool's answer.

mod defects;
mod sql;

use serde_json::Value;

use super::database::Database;
use super::everything::Everything;
use super::tools::Ran;
use crate::failure::Failure;

/// When the database is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Before the step's commands: the tools meet it.
    Before,
    /// Between its commands and its checks: as if the tools had done it.
    After,
}

/// How a defect is planted.
#[derive(Clone, Copy)]
enum Way {
    /// Altering the database; the second statement takes it back.
    Sql(When, fn(&Database) -> sql::Planting),
    /// Replacing what the tool answers.
    Answer(fn(&mut Answer)),
}

/// One defect.
pub(super) struct Defect {
    name: &'static str,
    /// The step whose row must fail.
    step: &'static str,
    words: &'static str,
    way: Way,
}

/// What a tool answers: its exit code and its report.
struct Answer {
    exit: Option<i32>,
    report: Value,
}

impl Answer {
    fn set(&mut self, pointer: &str, value: Value) {
        if let Some(place) = self.report.pointer_mut(pointer) {
            *place = value;
        }
    }
}

/// The names of all defects, for the command line.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    defects::ALL.iter().map(|defect| defect.name)
}

/// A defect that is to be planted, or has been.
pub(super) struct Planted {
    defect: &'static Defect,
    undo: Option<String>,
    failure: Option<Failure>,
}

impl Planted {
    pub(super) fn of(name: &str) -> Result<Self, Failure> {
        let defect = defects::ALL.iter().find(|defect| defect.name == name);
        let defect = defect.ok_or_else(|| Failure::new(format!("there is no defect {name}")))?;
        Ok(Self { defect, undo: None, failure: None })
    }

    /// What it is, where, and how it is planted.
    pub(super) fn words(&self) -> String {
        let Defect { name, step, words, way } = self.defect;
        let way = match way {
            Way::Sql(When::Before, _) => "the database is altered before the step's commands",
            Way::Sql(When::After, _) => "the database is altered between the step's commands and its checks",
            Way::Answer(_) => "the tool's answer is replaced",
        };
        format!("{name}: {words}; in step {step}: {way}")
    }

    /// Plants it, if this is the moment; no reason to go on if that does not work.
    pub(super) fn apply(&mut self, database: &Database, when: When, step: &str) {
        let Way::Sql(planned, plant) = self.defect.way else { return };
        if step == self.defect.step && when == planned {
            self.failure = self.alter(database, plant(database)).err();
        }
    }

    fn alter(&mut self, database: &Database, planting: sql::Planting) -> Result<(), Failure> {
        let before = Everything::look(database)?;
        database.execute(&planting.plant)?;
        self.undo = Some(planting.undo);
        if Everything::look(database)?.changes_since(&before).is_empty() {
            // It would show nothing.
            return Err(Failure::new(format!(
                "{} found no row to alter: take a larger sample",
                self.defect.name
            )));
        }
        Ok(())
    }

    /// Why it could not be planted: then the walk shows nothing.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    pub(super) fn undo(&mut self, database: &Database, step: &str) -> Result<(), Failure> {
        match self.undo.take_if(|_| step == self.defect.step) {
            Some(sql) => database.execute(&sql),
            None => Ok(()),
        }
    }

    pub(super) fn replace_answer(&mut self, step: &str, ran: &mut Ran) {
        let Way::Answer(replace) = self.defect.way else { return };
        if step != self.defect.step {
            return;
        }
        let report = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let mut answer = Answer { exit: ran.exit, report };
        replace(&mut answer);
        ran.exit = answer.exit;
        if !answer.report.is_null() {
            ran.stdout = answer.report.to_string();
        }
    }
}
