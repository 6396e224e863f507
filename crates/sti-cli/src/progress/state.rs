//! How far a backfill is, from its events.

use std::time::{Duration, Instant};

use sti_core::backfill::{RunId, Totals};
use sti_core::observe::Event;

use super::others::Others;
use crate::document::{number, percent};

/// The longest time between two lines about chunks.
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest time between two lines about the same wait: at night it may last for hours.
const WAIT_INTERVAL: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) eligible: i64,
    /// Of the run: what others had done when the ledger was last read, and this process's own chunks.
    pub(crate) run: Totals,
    id: Option<RunId>,
    /// What the ledger held at the start.
    before: Totals,
    /// Done by this process.
    here: Totals,
    others: Others,
    begun: Option<Instant>,
    told: Option<Instant>,
    /// Waited for something that is no chunk: it says nothing about how fast chunks are.
    waited: Duration,
    told_wait: Option<Instant>,
    /// Projects that went into quarantine and were told.
    quarantined: u32,
}

/// So many projects in quarantine are told one by one; `sti quarantine list` has them all.
const TELL_PROJECTS: u32 = 10;

impl State {
    pub(crate) fn beside(others: &Others) -> Self {
        Self { others: others.clone(), ..Self::default() }
    }

    /// Takes the figures of an event, and of the last reading of the ledger.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run, eligible, totals, .. } => {
                self.id = Some(*run);
                self.eligible = *eligible;
                self.before = *totals;
                self.begun = Some(Instant::now());
            }
            Event::ChunkDone { totals, .. } => self.here += *totals,
            Event::ThrottleEnded { waited, .. } => self.waited += *waited,
            _ => {}
        }
        self.run = self.id.and_then(|run| self.others.of(run)).unwrap_or(self.before);
        self.run += self.here;
    }

    pub(crate) fn due(&mut self) -> bool {
        let due = self.told.is_none_or(|told| told.elapsed() >= INTERVAL);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }

    pub(crate) fn wait_due(&mut self, waited: Duration) -> bool {
        let due = waited.is_zero() || self.told_wait.is_none_or(|told| told.elapsed() >= WAIT_INTERVAL);
        if due {
            self.told_wait = Some(Instant::now());
        }
        due
    }

    /// Whether a project that goes into quarantine is told; of many the first few are.
    pub(crate) fn tells_project(&mut self, verbose: bool) -> bool {
        self.quarantined = self.quarantined.saturating_add(1);
        verbose || self.quarantined <= TELL_PROJECTS
    }

    pub(crate) fn line(&self) -> String {
        let worked = self.begun.map(|begun| begun.elapsed().saturating_sub(self.waited));
        let seconds = worked.map_or(0.0, |worked| worked.as_secs_f64());
        // Of all processes, since this one began.
        let done = (self.run.locked - self.before.locked).max(0);
        let rate = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let left = (self.eligible - self.run.locked).max(0);
        let eta = if rate > 0.0 { format!("{:.0} s", left as f64 / rate) } else { "unknown".to_owned() };
        format!(
            "{} of {} projects ({}), {} created, {} conflicts, {} errors, {}/s, ETA {eta}",
            number(self.run.locked),
            number(self.eligible),
            percent(self.run.locked.min(self.eligible), self.eligible),
            number(self.run.created.total()),
            number(self.run.conflict.total()),
            number(self.run.error.total()),
            number(rate as i64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(locked: i64) -> Event {
        let totals = Totals { locked, ..Totals::default() };
        Event::ChunkDone { sweep: 1, number: 1, totals, duration: Duration::ZERO }
    }

    #[test]
    fn what_others_do_counts_and_nothing_counts_twice() {
        let others = Others::default();
        let mut state = State::beside(&others);
        let all = |locked| Totals { locked, ..Totals::default() };
        state.take(&Event::RunStarted { run: RunId(7), resumed: true, eligible: 1_000, totals: all(100) });
        state.take(&done(50));
        assert_eq!(state.run.locked, 150);
        // A reading of an earlier run, as when this one is not begun yet.
        others.are_at(RunId(6), all(900));
        state.take(&done(50));
        assert_eq!(state.run.locked, 200);
        others.are_at(RunId(7), all(600));
        state.take(&Event::WaitingForLease { owner: String::new() });
        assert_eq!(state.run.locked, 700);
        state.begun = Instant::now().checked_sub(Duration::from_secs(6));
        let line = state.line();
        assert!(line.starts_with("700 of 1,000 projects (70.0%)"), "{line}");
        // 600 in 6 s, of which this process did 100.
        assert!(line.ends_with("/s, ETA 3 s"), "{line}");
    }
}
