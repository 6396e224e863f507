//! A backfill that waits while the gate says stop.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sti_cli::duration::duration;
use sti_cli::gate::{Reading, Trigger, ask};
use sti_cli::http;
use sti_cli::prometheus::Prometheus;
use sti_core::backfill::Gate;
use url::Url;

/// How long "sustained" is, as by default in `sti gate`.
const WINDOW: Duration = Duration::from_secs(300);

/// An answer that is this much older than it should be is no answer.
const TOO_OLD: Duration = Duration::from_secs(120);

/// The gate that a backfill obeys.
#[derive(Debug, clap::Args)]
pub(super) struct GateArgs {
    /// Wait while this Prometheus server says stop, as `sti gate` asks it; also while it cannot be asked.
    #[arg(long, value_name = "URL", value_parser = http::base_url, conflicts_with = "dry_run")]
    gate: Option<Url>,
    /// A trigger that is no reason to wait: backfill-errors and backfill-errors-now while nobody scrapes this backfill,
    /// for example. May be given more than once.
    #[arg(long, value_name = "TRIGGER", value_enum, requires = "gate")]
    gate_without: Vec<Trigger>,
    /// The time between two questions.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    gate_every: Duration,
}

/// Asks, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(super) struct GateWatch {
    _stop: Sender<()>,
}

struct Heard {
    at: Instant,
    stops: Option<String>,
}

impl Heard {
    /// What a chunk that would begin `now` goes by: why it must wait, if it must.
    fn stops(&self, now: Instant, every: Duration) -> Option<String> {
        let age = now.saturating_duration_since(self.at);
        if age > every + TOO_OLD {
            return Some(format!("the gate has not answered for {} s", age.as_secs()));
        }
        self.stops.clone()
    }
}

impl GateArgs {
    /// Asks once, then goes on asking in the background; `None` without a gate. A chunk never waits for an answer: it
    /// goes by the last one, and one that is too old means stop.
    pub(super) fn watch(&self) -> Option<(Gate, GateWatch)> {
        let prometheus = Prometheus::new(self.gate.clone()?);
        let triggers: Vec<Trigger> =
            Trigger::ALL.into_iter().filter(|trigger| !self.gate_without.contains(trigger)).collect();
        let hear = move || Heard { stops: stops(&prometheus, &triggers), at: Instant::now() };
        let heard = Arc::new(Mutex::new(hear()));
        let (stop, stopped) = mpsc::channel();
        let (every, told) = (self.gate_every, Arc::clone(&heard));
        let asking = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let answer = hear();
                *told.lock().unwrap_or_else(PoisonError::into_inner) = answer;
            }
        };
        // Without the thread the answer grows old, and that means stop.
        let _ = std::thread::Builder::new().name("gate".to_owned()).spawn(asking);
        let gate = Gate::new(move || {
            heard.lock().unwrap_or_else(PoisonError::into_inner).stops(Instant::now(), every)
        });
        Some((gate, GateWatch { _stop: stop }))
    }
}

fn stops(prometheus: &Prometheus, triggers: &[Trigger]) -> Option<String> {
    match ask(prometheus, triggers, WINDOW) {
        Ok(readings) => {
            let stops: Vec<String> = readings.iter().filter_map(Reading::stops).collect();
            (!stops.is_empty()).then(|| format!("the gate says stop: {}", stops.join("; ")))
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_old_means_stop() {
        let every = Duration::from_secs(15);
        let go = Heard { at: Instant::now(), stops: None };
        let after = |seconds| go.stops(go.at + Duration::from_secs(seconds), every);
        assert_eq!((after(0), after(135)), (None, None));
        assert_eq!(after(136).as_deref(), Some("the gate has not answered for 136 s"));
        let stop = Heard { at: go.at, stops: Some("the gate says stop: lag".to_owned()) };
        assert_eq!(stop.stops(go.at, every).as_deref(), Some("the gate says stop: lag"));
    }
}
