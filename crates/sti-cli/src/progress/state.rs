//! How far a backfill is, from its events.

use std::time::{Duration, Instant};

use sti_core::backfill::Totals;
use sti_core::observe::Event;

use crate::document::{number, percent};

/// The longest time between two lines about chunks.
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest time between two lines about the same wait: at night it may last for hours.
const WAIT_INTERVAL: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) eligible: i64,
    /// Of the run, as far as this process knows: what the ledger held at the start, and its own chunks.
    pub(crate) run: Totals,
    /// Done by this process.
    here: i64,
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
    /// Takes the figures of an event.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::RunStarted { eligible, totals, .. } => {
                self.eligible = *eligible;
                self.run = *totals;
                self.begun = Some(Instant::now());
            }
            Event::ChunkDone { totals, .. } => {
                self.run += *totals;
                self.here += totals.locked;
            }
            Event::ThrottleEnded { waited, .. } => self.waited += *waited,
            _ => {}
        }
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
        let rate = if seconds > 0.0 { self.here as f64 / seconds } else { 0.0 };
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
