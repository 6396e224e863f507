//! What stands in the API's place: requests, some of which fail when it is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tiny_http::{Response, Server};

use crate::failure::Failure;

/// A server of metrics.
pub(super) struct Api {
    pub(super) port: u16,
    failing: Arc<AtomicBool>,
}

/// The counters of a server that answers 100 requests in a second.
#[derive(Default)]
struct Counts {
    good: f64,
    bad: f64,
}

impl Api {
    pub(super) fn start() -> Result<Self, Failure> {
        let server = Server::http("127.0.0.1:0").map_err(Failure::during("start the API"))?;
        let port = server.server_addr().to_ip().map_or(0, |address| address.port());
        let failing = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failing);
        std::thread::spawn(move || {
            let mut counts = Counts::default();
            let mut last = Instant::now();
            loop {
                // Counts also while nobody asks, so that what fails begins when it is told.
                let request = server.recv_timeout(Duration::from_millis(50));
                let requests = last.elapsed().as_secs_f64() * 100.0;
                last = Instant::now();
                let bad = if told.load(Ordering::Relaxed) { 0.2 } else { 0.0 };
                counts.good += requests * (1.0 - bad);
                counts.bad += requests * bad;
                match request {
                    Ok(Some(request)) => {
                        let _ = request.respond(Response::from_string(counts.render()));
                    }
                    Ok(None) => {}
                    Err(_) => return,
                }
            }
        });
        Ok(Self { port, failing })
    }

    /// From now on a fifth of everything fails, or nothing.
    pub(super) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }
}

impl Counts {
    fn render(&self) -> String {
        let Self { good, bad } = self;
        let all = good + bad;
        let (labels, fast) = (r#"method="GET",endpoint="/api/projects/",status"#, all * 0.9);
        format!(
            "# TYPE http_requests_total counter\n\
             http_requests_total{{{labels}=\"200\"}} {good}\n\
             http_requests_total{{{labels}=\"500\"}} {bad}\n\
             # TYPE http_request_duration_seconds histogram\n\
             http_request_duration_seconds_bucket{{{labels}=\"200\",le=\"0.1\"}} {fast}\n\
             http_request_duration_seconds_bucket{{{labels}=\"200\",le=\"0.2\"}} {all}\n\
             http_request_duration_seconds_bucket{{{labels}=\"200\",le=\"+Inf\"}} {all}\n\
             http_request_duration_seconds_sum{{{labels}=\"200\"}} {}\n\
             http_request_duration_seconds_count{{{labels}=\"200\"}} {all}\n",
            all * 0.05
        )
    }
}
