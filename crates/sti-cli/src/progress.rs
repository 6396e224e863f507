//! The progress of a backfill: a bar with rate and ETA on a terminal, plain lines elsewhere.

mod others;
pub(crate) mod state;
pub(crate) mod words;

use std::fmt::Write;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use sti_core::observe::{Event, Observer};

pub use self::others::Others;
use self::state::State;
use self::words::{chunk_words, waiting, waiting_for_server, words};
use crate::document::number;
use crate::stderr::{self, show};
use crate::time::rough;

/// The display that fits: a bar when stderr is a terminal, plain lines when it is not, nothing when it is a log.
/// `verbose` tells every chunk; `others` is what other processes have done of the run.
#[must_use]
pub fn display(verbose: bool, others: &Others) -> Option<Box<dyn Observer>> {
    if stderr::is_log() {
        return None;
    }
    let terminal = std::io::stderr().is_terminal();
    let state = Mutex::new(State::beside(others));
    if terminal {
        let style = "{elapsed_precise} [{bar:30}] {percent}% {human_pos}/{human_len} projects, {rate}, ETA {eta}{msg}";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style =
            style.progress_chars("=> ").with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}/s", number(state.per_sec() as i64));
            });
        let bar = ProgressBar::new(0).with_style(style);
        stderr::hold_bar(Some(bar.clone()));
        Some(Box::new(Bar { bar, state, verbose }))
    } else {
        Some(Box::new(Lines { state, verbose }))
    }
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
            Event::ChunkDone { .. } if self.verbose => chunk_words(event).into_iter().for_each(show),
            Event::ChunkDone { .. } if state.due() => show(state.line()),
            Event::WaitingForLease { owner } if state.due() => show(waiting(owner)),
            Event::Throttled { waited, .. } if !state.wait_due(*waited) => {}
            Event::WaitingForServer { .. } if state.due() => {
                waiting_for_server(event).into_iter().for_each(show);
            }
            Event::ProjectQuarantined { .. } if !state.tells_project(self.verbose) => {}
            _ => words(event).into_iter().for_each(show),
        }
    }
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
            Event::WaitingForLease { owner } => {
                self.bar.set_position(state.run.locked.unsigned_abs());
                self.bar.set_message(format!("; {}", waiting(owner)));
            }
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
                waiting_for_server(event).into_iter().for_each(show);
            }
            Event::ProjectQuarantined { .. } if !state.tells_project(self.verbose) => return,
            _ => {}
        }
        if self.verbose {
            chunk_words(event).into_iter().for_each(show);
        }
        words(event).into_iter().for_each(show);
        let (conflicts, errors) = (state.run.conflict.total(), state.run.error.total());
        if conflicts > 0 || errors > 0 {
            self.bar.set_message(format!("; {} conflicts, {} errors", number(conflicts), number(errors)));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        stderr::hold_bar(None);
        self.bar.finish_and_clear();
    }
}
