//! What other processes have done of the run that this one works on.

use std::sync::{Arc, Mutex, PoisonError};

use sti_core::backfill::{RunId, Totals};

/// What others have committed, as the ledger had it at the last reading. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Others(Arc<Mutex<Option<(RunId, Totals)>>>);

impl Others {
    /// Tells of a reading.
    pub fn are_at(&self, run: RunId, totals: Totals) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((run, totals));
    }

    /// Of this run; `None` as long as it was not read.
    pub(crate) fn of(&self, run: RunId) -> Option<Totals> {
        let read = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.filter(|(of, _)| *of == run).map(|(_, totals)| totals)
    }
}
