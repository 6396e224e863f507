//! The end of a sweep: is anything missing? Then another sweep, unless this was the last one.

use super::engine::{Ending, Engine, lock};
use super::error::BackfillError;
use super::lease::{self, Swept};
use super::ledger;
use super::worker::Worker;
use crate::db::AnyConnection;
use crate::observe::Event;
use crate::probe::Step;

/// The last sweep: the first one, and five to catch up.
const LAST_SWEEP: i32 = 6;

impl Worker<'_> {
    /// All chunks of a sweep are done: counts what is missing, and moves the run on or ends it. Does nothing when
    /// another worker has done it, or a chunk was leased since `swept` was seen.
    pub(super) fn end_sweep(&mut self, swept: Swept) -> Result<Option<Ending>, BackfillError> {
        let engine = self.engine;
        // The count reads whole tables: one worker of this process does it, the others wait here and find it done.
        let mut ended = lock(&engine.ended_sweep);
        // Stopped while it waited: another worker's count was cancelled, and is not to be begun anew.
        if *ended >= swept.sweep || engine.stop.is_set() {
            return Ok(None);
        }
        engine.config.probe.at(Step::EndSweep);
        let missing = self.persist(|c| Ok(ledger::missing(c, engine.run, engine.config.scope)?))?;
        let Some(missing) = missing else { return Ok(None) };
        let Some(decided) = self.persist(|c| engine.decide(c, swept, missing))? else { return Ok(None) };
        if matches!(decided, Decided::NotYet) {
            return Ok(None);
        }
        *ended = swept.sweep;
        if matches!(decided, Decided::End(_) | Decided::Next) {
            engine.observer.event(&Event::SweepDone { sweep: swept.sweep, missing });
        }
        Ok(match decided {
            Decided::Over(ending) | Decided::End(ending) => Some(ending),
            Decided::NotYet | Decided::Next => None,
        })
    }
}

impl Engine<'_> {
    fn decide(
        &self,
        connection: &mut AnyConnection,
        swept: Swept,
        missing: i64,
    ) -> Result<Decided, BackfillError> {
        ledger::ledger_transaction(connection, |connection| {
            let run = ledger::lock_run(connection, self.run)?;
            if run.state != "active" {
                return Ok(Decided::Over(Ending::elsewhere(&run.state)));
            }
            if !lease::is_still_swept(connection, self.run, &run, swept)? {
                return Ok(Decided::NotYet);
            }
            if missing == 0 {
                ledger::finish(connection, self.run, self.config.scope, None)?;
                return Ok(Decided::End(Ending::Complete));
            }
            if swept.sweep >= LAST_SWEEP {
                let reason = format!("{missing} projects still lack their row after sweep {}", swept.sweep);
                ledger::finish(connection, self.run, self.config.scope, Some(&reason))?;
                return Ok(Decided::End(Ending::StillMissing(missing)));
            }
            ledger::next_sweep(connection, self.run)?;
            Ok(Decided::Next)
        })
    }
}

/// What the end of a sweep led to.
enum Decided {
    /// The run has been ended by another process.
    Over(Ending),
    /// The sweep goes on, or another process has moved the run to the next one.
    NotYet,
    /// The next sweep begins.
    Next,
    /// The run has ended here.
    End(Ending),
}
