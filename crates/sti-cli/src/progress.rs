//! The progress of a backfill: a bar with rate and ETA on a terminal, plain lines elsewhere.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use sti_core::backfill::Totals;
use sti_core::observe::{Event, Observer};

use crate::answer::say;
use crate::document::{number, percent};
use crate::time::rough;

/// The longest time between two plain lines about chunks.
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest time between two plain lines about the same wait: at night it may last for hours.
const WAIT_INTERVAL: Duration = Duration::from_secs(600);

/// The display that fits: a bar when stderr is a terminal, plain lines when it is not. `verbose` tells every chunk.
#[must_use]
pub fn display(terminal: bool, verbose: bool) -> Box<dyn Observer> {
    let state = Mutex::new(State::default());
    if terminal {
        let style = "{elapsed_precise} [{bar:30}] {percent}% {human_pos}/{human_len} projects, {rate}, ETA {eta}{msg}";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style =
            style.progress_chars("=> ").with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}/s", number(state.per_sec() as i64));
            });
        let bar = ProgressBar::new(0).with_style(style);
        Box::new(Bar { bar, state, verbose })
    } else {
        Box::new(Lines { state, verbose })
    }
}

#[derive(Default)]
struct State {
    eligible: i64,
    /// Of the run, as far as this process knows: what the ledger held at the start, and its own chunks.
    run: Totals,
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
    fn take(&mut self, event: &Event) {
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

    fn due(&mut self) -> bool {
        let due = self.told.is_none_or(|told| told.elapsed() >= INTERVAL);
        if due {
            self.told = Some(Instant::now());
        }
        due
    }

    fn wait_due(&mut self, waited: Duration) -> bool {
        let due = waited.is_zero() || self.told_wait.is_none_or(|told| told.elapsed() >= WAIT_INTERVAL);
        if due {
            self.told_wait = Some(Instant::now());
        }
        due
    }

    /// Whether a project that goes into quarantine is told; of many the first few are.
    fn tells_project(&mut self, verbose: bool) -> bool {
        self.quarantined = self.quarantined.saturating_add(1);
        verbose || self.quarantined <= TELL_PROJECTS
    }

    fn line(&self) -> String {
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

/// What is told of an event in words; the chunks apart.
fn words(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStarted { run, resumed: false, eligible, .. } => {
            format!("run {run} begins: {} projects in scope", number(*eligible))
        }
        Event::RunStarted { run, totals, .. } => {
            format!("run {run} is resumed: {} projects were done before", number(totals.locked))
        }
        Event::ChunkRetried { number, retry, reason, rest, .. } => {
            format!("chunk {number}: {reason}; rolled back, retry {retry} in {:.1} s", rest.as_secs_f64())
        }
        Event::LedgerRetried { retry, reason, rest, .. } => {
            format!("{reason}; rolled back, retry {retry} in {:.1} s", rest.as_secs_f64())
        }
        Event::ChunkHalved { number, reason } => format!("chunk {number}: {reason}; halved"),
        Event::ChunkPostponed { number, reason } => {
            format!("chunk {number}: {reason}; it is put off to the end of the sweep")
        }
        Event::LeaseLost { number } => {
            format!("chunk {number} has been taken over by another process; nothing of it was written here")
        }
        Event::LeaseTaken { number, from } => {
            format!("chunk {number} is taken over from {from}, which is gone")
        }
        Event::WorkerFailed { reason } => format!("one more worker stopped: {reason}"),
        Event::SweepDone { sweep, missing: 0 } => format!("sweep {sweep} is done; nothing is missing"),
        Event::SweepDone { sweep, missing } => {
            format!("sweep {sweep} is done; {} projects lack their row", number(*missing))
        }
        Event::Throttled { reason, waited } if waited.is_zero() => format!("waiting: {reason}"),
        Event::Throttled { reason, waited } => format!("waiting for {} now: {reason}", rough(*waited)),
        Event::ThrottleEnded { waited, .. } => format!("waited {}", rough(*waited)),
        Event::ProjectQuarantined { project, class, message } => {
            format!("project {project} goes into quarantine ({class}): {message}")
        }
        Event::ChunkDone { .. }
        | Event::WaitingForLease { .. }
        | Event::WaitingForServer { .. }
        | Event::RunFinished { .. } => return None,
    })
}

fn chunk_words(event: &Event) -> Option<String> {
    let Event::ChunkDone { sweep, number: chunk, totals, duration } = event else { return None };
    Some(format!(
        "sweep {sweep}, chunk {chunk}: {} projects, {} created, {} equal, {} conflicts, {} of unknown type, {} errors, {} ms",
        number(totals.locked),
        number(totals.created.total()),
        number(totals.equal.total()),
        number(totals.conflict.total()),
        number(totals.unknown),
        number(totals.error.total()),
        duration.as_millis()
    ))
}

struct Lines {
    state: Mutex<State>,
    verbose: bool,
}

impl Observer for Lines {
    fn event(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.take(event);
        match event {
            Event::ChunkDone { .. } if self.verbose => chunk_words(event).into_iter().for_each(say),
            Event::ChunkDone { .. } if state.due() => say(state.line()),
            Event::WaitingForLease { owner } if state.due() => say(waiting(owner)),
            Event::Throttled { waited, .. } if !state.wait_due(*waited) => {}
            Event::WaitingForServer { .. } if state.due() => {
                waiting_for_server(event).into_iter().for_each(say);
            }
            Event::ProjectQuarantined { .. } if !state.tells_project(self.verbose) => {}
            _ => words(event).into_iter().for_each(say),
        }
    }
}

fn waiting(owner: &str) -> String {
    format!("waiting for the last chunk, which {owner} works on; its lease runs out by itself")
}

fn waiting_for_server(event: &Event) -> Option<String> {
    let Event::WaitingForServer { reason, waited, longest } = event else { return None };
    Some(format!(
        "{reason}; waiting for {} s of at most {} s until it is back",
        waited.as_secs(),
        longest.as_secs()
    ))
}

struct Bar {
    bar: ProgressBar,
    state: Mutex<State>,
    verbose: bool,
}

impl Observer for Bar {
    fn event(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.take(event);
        match event {
            Event::RunStarted { .. } => {
                self.bar.set_length(state.eligible.unsigned_abs());
                self.bar.set_position(state.run.locked.unsigned_abs());
                self.bar.reset_eta();
            }
            Event::ChunkDone { .. } => self.bar.set_position(state.run.locked.unsigned_abs()),
            Event::WaitingForLease { owner } => self.bar.set_message(format!("; {}", waiting(owner))),
            // Said once above the bar, and kept up to date in it.
            Event::Throttled { reason, waited } if !waited.is_zero() => {
                self.bar.set_message(format!("; waiting for {}: {reason}", rough(*waited)));
                return;
            }
            Event::ThrottleEnded { .. } => {
                self.bar.set_message("");
                self.bar.reset_eta();
            }
            Event::WaitingForServer { .. } if state.due() => {
                waiting_for_server(event).into_iter().for_each(|line| self.bar.println(line));
            }
            Event::ProjectQuarantined { .. } if !state.tells_project(self.verbose) => return,
            _ => {}
        }
        if self.verbose {
            chunk_words(event).into_iter().for_each(|line| self.bar.println(line));
        }
        words(event).into_iter().for_each(|line| self.bar.println(line));
        let (conflicts, errors) = (state.run.conflict.total(), state.run.error.total());
        if conflicts > 0 || errors > 0 {
            self.bar.set_message(format!("; {} conflicts, {} errors", number(conflicts), number(errors)));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
