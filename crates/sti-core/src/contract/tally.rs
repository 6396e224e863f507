//! What is known of the values while writers go on: what the snapshot had, and every change since.
//!
//! The gates that nobody may waive had found nothing in the snapshot, so each finding among the changed projects is
//! one. Of those that may be waived the number counts: what the archive says of a changed project before it is archived
//! anew is taken off, what it says after that is added. So the number is that of the whole table without looking at all
//! of it.

use super::archive::{archive_of, archived_of, unarchive};
use super::change_log::Taken;
use super::change_log::take::{self, Entries};
use super::gate::{Gate, GateResult};
use super::gates::{self, values};
use super::plan::DropPlan;
use super::waiver::Waiver;
use crate::db::error::Doing as _;
use crate::db::sql_types::Timestamp;
use crate::db::{AnyConnection, DbError, dialect};
use crate::models::ProjectId;
use crate::probe::{Probe, Sabotage, Step};
use crate::verify::{Class, classes_of};

/// Projects that are looked at with one statement.
pub(super) const BATCH: usize = 1_000;

/// The state of every project by now, and of its archive.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// What the gates for values found in the snapshot.
    base: Vec<GateResult>,
    /// Rows in the archive.
    pub(super) archived: i64,
    unknown: i64,
    stray: i64,
    /// Changed projects that count there, the last ones.
    counted: Vec<(Gate, ProjectId)>,
    /// Findings among the changed projects.
    found: Vec<(Class, ProjectId)>,
    /// Projects whose legacy columns were written without their row.
    suspects: Vec<ProjectId>,
    /// Tables that were emptied.
    pub(super) truncated: Vec<String>,
    /// The mark of the transaction that has committed what this knows.
    pub(super) seen: Timestamp,
}

impl Tally {
    /// What the snapshot had, of which so many projects are archived.
    pub(super) fn of(plan: &DropPlan, archived: i64, seen: Timestamp) -> Self {
        let base: Vec<GateResult> =
            plan.gates.iter().filter(|result| values::is_of_values(result.gate)).cloned().collect();
        let found = |gate: Gate| plan.gate(gate).map_or(0, |result| result.found);
        Self {
            base,
            archived,
            unknown: found(Gate::UnknownType),
            stray: found(Gate::StrayValues),
            counted: Vec::new(),
            found: Vec::new(),
            suspects: Vec::new(),
            truncated: Vec::new(),
            seen,
        }
    }

    /// The gates for values and for their writers, as they stand.
    pub(super) fn gates(&self, waivers: &[Waiver]) -> Vec<GateResult> {
        let value = |base: &GateResult| match base.gate {
            Gate::UnknownType => values::recounted(base, self.unknown, &self.counted, waivers),
            Gate::StrayValues => values::recounted(base, self.stray, &self.counted, waivers),
            gate => values::changed(gate, &self.found).unwrap_or_else(|| base.clone()),
        };
        let mut results: Vec<GateResult> = self.base.iter().map(value).collect();
        results.push(gates::writers::watched(&self.suspects));
        results
    }

    /// `plan` with what its gates say by now.
    pub(super) fn plan(&self, plan: &DropPlan) -> DropPlan {
        let mut plan = plan.clone();
        for now in self.gates(&plan.waivers) {
            if let Some(result) = plan.gates.iter_mut().find(|result| result.gate == now.gate) {
                *result = now;
            }
        }
        plan.archive_rows = self.archived;
        plan
    }

    /// Works off what is committed in the change log by now: takes it, looks at those projects with later statements
    /// and archives them anew under `run`, takes those off that are gone. In READ COMMITTED; the log is as it was if
    /// the transaction is rolled back. Gives how many entries there were, or `None`, having changed nothing but this
    /// tally, where they are of more than `most` projects.
    pub(super) fn catch_up(
        &mut self,
        connection: &mut AnyConnection,
        run: i64,
        most: Option<usize>,
        probe: &Probe,
    ) -> Result<Option<i64>, DbError> {
        if probe.sabotage() == Sabotage::SecondLook {
            // First look, then take: what is committed in between is taken unseen.
            self.replay(connection, run, Entries::Visible, probe)?;
            probe.at(Step::CatchUpLook);
            take::delete(connection, Entries::Visible)?;
            return Ok(Some(0));
        }
        let Taken { entries, truncated, suspects } = take::take(connection)?;
        self.truncated.extend(truncated);
        self.suspects.extend(suspects.into_iter().map(|suspect| suspect.id));
        probe.at(Step::CatchUpLook);
        if let Some(most) = most.filter(|_| entries > 0)
            && take::ids(connection, Entries::Taken, None, most + 1)?.len() > most
        {
            return Ok(None);
        }
        if entries > 0 {
            self.replay(connection, run, Entries::Taken, probe)?;
            take::delete(connection, Entries::Taken)?;
        }
        Ok(Some(entries))
    }

    fn replay(
        &mut self,
        connection: &mut AnyConnection,
        run: i64,
        of: Entries,
        probe: &Probe,
    ) -> Result<(), DbError> {
        let mut after = None;
        loop {
            let ids = take::ids(connection, of, after, BATCH)?;
            after = ids.last().copied();
            if ids.is_empty() {
                return Ok(());
            }
            self.batch(connection, run, &ids, probe)?;
            if ids.len() < BATCH {
                return Ok(());
            }
        }
    }

    fn batch(
        &mut self,
        connection: &mut AnyConnection,
        run: i64,
        ids: &[ProjectId],
        probe: &Probe,
    ) -> Result<(), DbError> {
        dialect::read_by_index(connection).doing("limiting the transaction")?;
        let before = archived_of(connection, run, ids)?;
        // `ids` are in order.
        self.counted.retain(|(_, id)| ids.binary_search(id).is_err());
        for (class, id) in classes_of(connection, ids)? {
            match values::gate_of(class) {
                Some(gate @ (Gate::UnknownType | Gate::StrayValues)) => self.counted.push((gate, id)),
                Some(_) => self.found.push((class, id)),
                None => {}
            }
        }
        let too_many = self.counted.len().saturating_sub(BATCH);
        self.counted.drain(..too_many);
        probe.at(Step::CatchUpArchive);
        self.archived -= unarchive(connection, run, ids)?;
        self.archived += archive_of(connection, run, ids)?;
        // Of the archive again, not of the classes: somebody may have written since those were looked at, and the next
        // round takes off what the archive says.
        let after = archived_of(connection, run, ids)?;
        self.unknown += after.unknown - before.unknown;
        self.stray += after.stray - before.stray;
        Ok(())
    }
}
