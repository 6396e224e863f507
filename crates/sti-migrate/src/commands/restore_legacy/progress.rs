//! What a restore tells while it works, line by line.

use std::time::{Duration, Instant};

use sti_cli::stderr::say;
use sti_cli::{number, percent, retries};
use sti_core::ProjectId;
use sti_core::contract::restore::RestoreEvent;

/// The longest time between two lines about chunks.
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Lines {
    projects: i64,
    told: Option<Instant>,
}

impl Lines {
    pub(super) fn tell(&mut self, event: &RestoreEvent) {
        match event {
            RestoreEvent::Retried(retry) => retries::tell(retry),
            RestoreEvent::Began(began) => {
                let added =
                    if began.added.is_empty() { "no column".to_owned() } else { began.added.join(", ") };
                say(format_args!("the triggers are there; added: {added}"));
            }
            RestoreEvent::Refilling { after, projects } => {
                self.projects = *projects;
                self.told = Some(Instant::now());
                match after {
                    Some(ProjectId::MAX) => say("every project was refilled before"),
                    Some(after) => say(format_args!("going on behind project {after}")),
                    None => say(format_args!("refilling {} projects", number(*projects))),
                }
            }
            RestoreEvent::ChunkDone { done, through } => {
                if self.told.is_none_or(|told| told.elapsed() >= INTERVAL) {
                    self.told = Some(Instant::now());
                    say(format_args!(
                        "refilled {} of {} projects ({}), through {through}",
                        number(done.projects),
                        number(self.projects),
                        percent(done.projects, self.projects)
                    ));
                }
            }
            RestoreEvent::ChunkRetried { retry, reason, rest } => {
                say(format_args!(
                    "chunk rolled back ({reason}); retry {retry}, trying again in {:.1} s",
                    rest.as_secs_f64()
                ));
            }
            RestoreEvent::Verifying => say("refilled; comparing both sides of every project"),
        }
    }
}
