//! Metrics pushed to a Pushgateway.

use std::time::Duration;

use url::Url;

use super::listen::CONTENT_TYPE;
use crate::http;
use crate::stderr::warn;

/// How long a push may take: at the end of a command somebody waits for it.
const LIMIT: Duration = Duration::from_secs(3);

/// A group of metrics in a Pushgateway.
#[derive(Debug)]
pub(super) struct Gateway {
    url: Url,
    agent: ureq::Agent,
    /// What was told already: a gateway that is down for an hour is one warning.
    failing: bool,
}

impl Gateway {
    /// The group of a command, as in `sti backfill`: the job `sti_backfill`.
    pub(super) fn new(base: &Url, command: &str, instance: Option<&str>) -> Self {
        let job: String = command.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut parts = vec!["metrics", "job", &job];
        parts.extend(instance.iter().flat_map(|instance| ["instance", instance]));
        Self { url: http::below(base, &parts), agent: http::agent(LIMIT), failing: false }
    }

    /// Pushes; a failure is told once, until a push succeeds.
    pub(super) fn push_or_warn(&mut self, text: &str) {
        // POST replaces the metrics that it names. PUT would replace the whole group, and wipe at the start of a run
        // when the last one succeeded.
        let answer = self.agent.post(self.url.as_str()).header("Content-Type", CONTENT_TYPE).send(text);
        match answer {
            Ok(_) => self.failing = false,
            Err(_) if self.failing => {}
            Err(e) => {
                self.failing = true;
                warn(format_args!("cannot push the metrics to {}: {e}; the work goes on", self.url));
            }
        }
    }
}
