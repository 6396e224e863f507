//! Questions to a Prometheus server.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::http;

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A Prometheus server.
#[derive(Clone, Debug)]
pub struct Prometheus {
    url: Url,
    agent: ureq::Agent,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels, the name aside.
    pub labels: BTreeMap<String, String>,
    /// Its value; may be NaN or infinite.
    pub value: f64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The server cannot be reached, or broke off.
    #[error("cannot ask Prometheus at {url}: {source}; is that where it listens?")]
    Unreachable {
        /// The server.
        url: String,
        /// What the client says.
        source: Box<ureq::Error>,
    },
    /// It is there and says no.
    #[error("Prometheus at {url} does not answer the query {query:?}: {reason}")]
    Refused {
        /// The server.
        url: String,
        /// What was asked.
        query: String,
        /// What it says.
        reason: String,
    },
    /// Something is there that is no Prometheus.
    #[error("what answers at {url} is no Prometheus: {reason}")]
    NotPrometheus {
        /// The server.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    error: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar((f64, String)),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Prometheus {
    /// The server at `url`.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, agent: http::agent(LIMIT) }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks for the value of an expression now, and gives every series of it.
    ///
    /// # Errors
    /// [`AskError`]. An expression that is true of no series is no error, but an empty answer.
    pub fn query(&self, query: &str) -> Result<Vec<Sample>, AskError> {
        let url = http::below(&self.url, &["api", "v1", "query"]);
        let unreachable =
            |source| AskError::Unreachable { url: self.url.to_string(), source: Box::new(source) };
        // An answer with code 400 or 422 says what is wrong.
        let request = self.agent.post(url.as_str()).config().http_status_as_error(false).build();
        let mut response = request.send_form([("query", query)]).map_err(unreachable)?;
        let status = response.status();
        let text = response.body_mut().read_to_string().map_err(unreachable)?;
        let foreign = |reason: &dyn fmt::Display| AskError::NotPrometheus {
            url: self.url.to_string(),
            reason: format!("HTTP status {status}, {reason}"),
        };
        let answer: Answer = serde_json::from_str(&text).map_err(|e| foreign(&e))?;
        match (answer.status.as_str(), answer.data) {
            ("success", Some(data)) => samples(data).ok_or_else(|| foreign(&"an answer of another kind")),
            _ => Err(AskError::Refused {
                url: self.url.to_string(),
                query: query.to_owned(),
                reason: answer.error.unwrap_or_else(|| format!("HTTP status {status}")),
            }),
        }
    }
}

fn samples(data: Data) -> Option<Vec<Sample>> {
    match data {
        Data::Vector(series) => series
            .into_iter()
            .map(|Series { mut metric, value: (_, value) }| {
                metric.remove("__name__");
                Some(Sample { labels: metric, value: value.parse().ok()? })
            })
            .collect(),
        Data::Scalar((_, value)) => {
            Some(vec![Sample { labels: BTreeMap::new(), value: value.parse().ok()? }])
        }
        Data::Other => None,
    }
}

/// A duration as PromQL has it, in the largest unit that it is a whole number of.
#[must_use]
pub fn promql(duration: Duration) -> String {
    let ms = duration.as_millis().max(1);
    match [(3_600_000, "h"), (60_000, "m"), (1000, "s")]
        .into_iter()
        .find(|(unit, _)| ms.is_multiple_of(*unit))
    {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// The labels as `{a="b"}`, or nothing.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        if labels.is_empty() { Ok(()) } else { write!(f, "{{{}}}", labels.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_promql() {
        for (ms, text) in [(300_000, "5m"), (90_000, "90s"), (1500, "1500ms"), (7_200_000, "2h"), (0, "1ms")]
        {
            assert_eq!(promql(Duration::from_millis(ms)), text);
        }
    }
}
