//! The progress of a command that can name its steps, and cannot know how far it has come in one: the elapsed time, a
//! spinner on a terminal, now and then a plain line, or a record of a log, elsewhere.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sti_core::backfill::StopSignal;

use crate::stderr::{self, say};
use crate::time::rough;

/// How often the display looks.
const TICK: Duration = Duration::from_millis(100);

/// The first plain line comes after this; what takes less needs none.
const FIRST: Duration = Duration::from_secs(2);

/// The longest time between two plain lines. Until then each comes after twice the time of the one before.
const LONGEST: Duration = Duration::from_secs(30);

/// A display, from its start until it is dropped.
#[derive(Debug)]
pub struct Steps {
    step: Arc<Mutex<String>>,
    bar: Option<ProgressBar>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What is said when somebody has asked for a stop, where nothing more is to be said of it.
pub const ASKED: &str = "asked to stop; another signal leaves at once";

impl Steps {
    /// Begins to count the time. `terminal`: whether stderr is one. When `stop` is set, it says `words`.
    #[must_use]
    pub fn begin(terminal: bool, stop: StopSignal, words: &'static str) -> Self {
        let bar = (terminal && !stderr::is_log()).then(spinner);
        stderr::hold_bar(bar.clone());
        let step = Arc::<Mutex<String>>::default();
        let (end, ended) = mpsc::channel();
        let mut lines = Lines { begun: Instant::now(), next: FIRST, stop, words, asked: false };
        let (told, spinning) = (Arc::clone(&step), bar.is_some());
        let ticker = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                lines.asked().into_iter().for_each(say);
                if !spinning {
                    let step = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    lines.due(&step, lines.begun.elapsed()).into_iter().for_each(say);
                }
            }
            lines.asked().into_iter().for_each(say);
        });
        // Without a thread there is no progress to see, which is no reason not to do the work.
        Self { step, bar, ticker: ticker.ok().map(|thread| (end, thread)) }
    }

    /// Tells what is being done now, as in `counting rows`.
    pub fn tell(&self, step: impl Into<String>) {
        let step = step.into();
        if let Some(bar) = &self.bar {
            bar.set_message(step.clone());
        }
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.ticker.take() {
            drop(end);
            let _ = thread.join();
        }
        if let Some(bar) = &self.bar {
            stderr::hold_bar(None);
            bar.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}");
    let bar =
        ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(TICK);
    bar
}

/// When which line is due.
struct Lines {
    begun: Instant,
    next: Duration,
    stop: StopSignal,
    words: &'static str,
    asked: bool,
}

impl Lines {
    fn due(&mut self, step: &str, elapsed: Duration) -> Option<String> {
        let due = !step.is_empty() && elapsed >= self.next;
        due.then(|| {
            self.next = elapsed + elapsed.min(LONGEST);
            format!("after {}: {step}", rough(elapsed))
        })
    }

    /// Said once, when the signal has been seen.
    fn asked(&mut self) -> Option<String> {
        let now = self.stop.is_set() && !self.asked;
        self.asked |= now;
        now.then(|| self.words.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines { begun: Instant::now(), next: FIRST, stop: StopSignal::default(), words: ASKED, asked: false }
    }

    #[test]
    fn lines_grow_rarer_and_a_short_command_needs_none() {
        let mut lines = lines();
        let mut told = Vec::new();
        for second in 0..=130 {
            told.extend(lines.due("counting", Duration::from_secs(second)));
        }
        assert_eq!(
            told,
            [2, 4, 8, 16, 32, 62, 92]
                .map(|second| format!("after {second} s: counting"))
                .into_iter()
                .chain(["after 2 min: counting".to_owned()])
                .collect::<Vec<_>>()
        );
        assert_eq!(lines.due("", Duration::from_secs(1000)), None, "there is nothing to tell yet");
    }

    #[test]
    fn the_wish_to_stop_is_told_once() {
        let mut lines = lines();
        assert_eq!(lines.asked(), None);
        lines.stop.stop();
        assert!(lines.asked().is_some());
        assert_eq!(lines.asked(), None);
    }
}
