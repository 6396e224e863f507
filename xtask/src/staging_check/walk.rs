//! The walk: one step after the other, each with a row of its own, whatever became of the one before.

use std::time::Instant;

use sti_core::test_support::RowSetDigest;

use super::database::Database;
use super::everything::Everything;
use super::place::Place;
use super::plant::{Planted, When};
use super::report::terminal;
use super::row::{Row, Stop};
use super::service::Service;
use super::steps::Step;
use super::tools::{Ran, Tools};
use crate::failure::Failure;

/// What the steps share.
pub(super) struct Walk {
    pub(super) place: Place,
    pub(super) tools: Tools,
    pub(super) projects: u64,
    pub(super) seed: u64,
    pub(super) planted: Option<Planted>,
    pub(super) memory: Memory,
}

/// What a step leaves for those after it.
#[derive(Default)]
pub(super) struct Memory {
    /// The legacy columns and the others, before anything was done.
    pub(super) at_first: Option<(RowSetDigest, RowSetDigest)>,
    /// Digests of the subtype tables as they must be after the backfill of published projects.
    pub(super) rows_to_come: Option<[RowSetDigest; 2]>,
    /// What the backfill must report and record.
    pub(super) totals: Option<super::ledger::Totals>,
    /// Whether the backfill was killed on its way.
    pub(super) killed: bool,
    /// Whether it had come to its end before it could be killed.
    pub(super) too_fast: bool,
    /// Runs in the ledger before the backfill.
    pub(super) runs_before: i64,
    /// Subtype rows before the backfill.
    pub(super) rows_before: i64,
    /// A service that is under way: opened before the drop, used before it and after it.
    pub(super) service: Option<Service>,
    /// `--waive …` for what the subtype rows cannot hold.
    pub(super) waivers: String,
    /// What the guard printed last.
    pub(super) digest: Option<String>,
    /// The legacy columns as they were right before the drop.
    pub(super) before_drop: Option<BeforeDrop>,
    /// Whether this walk has brought the legacy columns back: drops on record may be older.
    pub(super) restored: bool,
}

/// What must come back.
pub(super) struct BeforeDrop {
    /// Legacy values of the projects that no service touches.
    pub(super) legacy: RowSetDigest,
    /// Definitions of the columns of `projects_project`, without their order.
    pub(super) columns: Vec<String>,
    /// Names of the triggers on the three tables: the application's.
    pub(super) triggers: Vec<String>,
}

impl Walk {
    pub(super) fn database(&self) -> &Database {
        self.place.database()
    }

    /// A step finds nothing to work on. Real rows may be so; the sample is made so that there is something.
    pub(super) fn nothing_to_do(&self, why: &str) -> Stop {
        let why = why.to_owned();
        if self.place.is_real() { Stop::LeftOut(why) } else { Stop::NotRun(why) }
    }

    /// The legacy columns are there although they should have been dropped: on purpose, or something failed before.
    pub(super) fn no_drop(&self) -> Stop {
        if self.place.may_drop() {
            return Stop::NotRun("the legacy columns were not dropped".to_owned());
        }
        Stop::LeftOut("on purpose: the drop is only rehearsed without --allow-destructive".to_owned())
    }

    /// Goes through `steps`; tells each row as soon as it stands.
    pub(super) fn go(&mut self, steps: &[Step]) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        for step in steps {
            let began = Instant::now();
            let mut row = Row::new(step.id, step.title);
            self.plant(When::Before, step.id);
            let ended = (step.walk)(self, &mut row);
            row.close(ended, began.elapsed());
            if let Some(failure) = self.planted.as_mut().and_then(Planted::take_failure) {
                return Err(failure);
            }
            self.undo_plant(step.id)?;
            terminal::row(rows.len() + 1, &row);
            rows.push(row);
        }
        Ok(rows)
    }

    /// Runs a command and keeps it for the report.
    pub(super) fn run(&mut self, row: &mut Row, line: &str) -> Result<Ran, Failure> {
        let mut ran = self.tools.run(self.place.database(), line)?;
        if let Some(planted) = &mut self.planted {
            planted.replace_answer(row.id, &mut ran);
        }
        row.commands.push(ran.clone());
        Ok(ran)
    }

    /// The moment between a step's commands and its checks.
    pub(super) fn look(&mut self, row: &Row) {
        self.plant(When::After, row.id);
    }

    /// The whole database.
    pub(super) fn everything(&self) -> Result<Everything, Failure> {
        Everything::look(self.database())
    }

    fn plant(&mut self, when: When, step: &str) {
        if let Some(planted) = &mut self.planted {
            planted.apply(self.place.database(), when, step);
        }
    }

    fn undo_plant(&mut self, step: &str) -> Result<(), Failure> {
        let database = self.place.database();
        self.planted.as_mut().map_or(Ok(()), |planted| planted.undo(database, step))
    }
}
