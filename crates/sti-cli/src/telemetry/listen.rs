//! Metrics served to whoever scrapes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusHandle;
use signal_hook::consts::{SIGINT, SIGTERM};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::answer::Failure;
use crate::stderr::say;

/// The text format of Prometheus.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often the end of a command looks whether it should wait no more.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A server of `/metrics` on a thread of its own.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    /// Gets a word when a scrape has been answered that began after the end.
    seen: Receiver<()>,
}

impl Listener {
    /// Listens. Port 0 takes any that is free; the address is told.
    pub(super) fn open(address: SocketAddr, handle: PrometheusHandle) -> Result<Self, Failure> {
        let failed = |e: &dyn std::fmt::Display| {
            Failure::failed(format_args!("cannot serve the metrics at {address}: {e}"))
        };
        let server = Server::http(address).map_err(|e| failed(&e))?;
        let address = server.server_addr().to_ip().unwrap_or(address);
        say(format_args!("metrics: http://{address}/metrics"));
        let ended = Arc::new(AtomicBool::new(false));
        let (sender, seen) = mpsc::channel();
        let over = Arc::clone(&ended);
        let serve = move || {
            for request in server.incoming_requests() {
                let after_the_end = over.load(Ordering::SeqCst);
                if answer(request, &handle) && after_the_end && sender.send(()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("metrics-listen".to_owned()).spawn(serve);
        thread.map_err(|e| failed(&e))?;
        Ok(Self { address, ended, seen })
    }

    /// The command has ended: goes on serving until a scrape has seen that, for at most `longest`, or until SIGINT or
    /// SIGTERM.
    pub(super) fn linger(self, longest: Duration) {
        self.ended.store(true, Ordering::SeqCst);
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Without it the signal ends the process, which is as good.
            let _ = signal_hook::flag::register(signal, Arc::clone(&interrupted));
        }
        let begun = Instant::now();
        if !longest.is_zero() {
            say(format_args!(
                "metrics: waiting at most {} s for a scrape of http://{}/metrics to see the end",
                longest.as_secs(),
                self.address
            ));
        }
        while begun.elapsed() < longest && !interrupted.load(Ordering::SeqCst) {
            if self.seen.recv_timeout(LOOK_AGAIN) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}

/// Answers a request; whether it was a scrape, and its answer was sent.
fn answer(request: Request, handle: &PrometheusHandle) -> bool {
    let path = request.url().split('?').next().unwrap_or_default();
    if path != "/metrics" {
        let _ = request.respond(Response::from_string("see /metrics\n").with_status_code(404));
        return false;
    }
    if !matches!(request.method(), Method::Get | Method::Head) {
        let _ = request.respond(Response::from_string("GET only\n").with_status_code(405));
        return false;
    }
    let whole = *request.method() == Method::Get;
    handle.run_upkeep();
    let mut response = Response::from_string(handle.render());
    if let Ok(header) = Header::from_bytes("Content-Type", CONTENT_TYPE) {
        // It takes the place of the one that a text has by itself.
        response.add_header(header);
    }
    request.respond(response).is_ok() && whole
}
