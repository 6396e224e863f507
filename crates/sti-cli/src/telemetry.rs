//! Where a command's metrics go: one recorder, rendered for whoever scrapes, for a Pushgateway and into a file.

mod arguments;
mod listen;
mod push;
mod textfile;

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sti_core::metrics::{MetricKind, command_ended, ours};

use crate::answer::{Exit, Failure};
pub use arguments::TelemetryArgs;
use listen::Listener;
use push::Gateway;
use textfile::Textfile;

/// The time between two pushes, and between two writes of the file. Each is a sign of life: a file, or a push, that is
/// much older means that the process is gone.
const INTERVAL: Duration = Duration::from_secs(5);

/// The outputs of a process, from its start to its end.
#[derive(Debug)]
pub(crate) struct Telemetry {
    command: String,
    begun: Instant,
    linger: Duration,
    listener: Option<Listener>,
    writer: Option<(Sender<()>, JoinHandle<Sinks>)>,
}

/// What is written to, as opposed to asked for.
struct Sinks {
    handle: PrometheusHandle,
    gateway: Option<Gateway>,
    textfile: Option<Textfile>,
}

impl Sinks {
    fn write(&mut self) {
        self.handle.run_upkeep();
        let text = self.handle.render();
        if let Some(textfile) = &mut self.textfile {
            textfile.write_or_warn(&text);
        }
        if let Some(gateway) = &mut self.gateway {
            gateway.push_or_warn(&text);
        }
    }
}

impl Telemetry {
    /// Installs the recorder and opens what the arguments ask for; `None` if they ask for nothing. A file that cannot
    /// be written and an address that cannot be listened on are told before any work is done; a Pushgateway that does
    /// not answer is a warning, now and later.
    ///
    /// # Errors
    /// See above; also arguments that contradict each other.
    pub(crate) fn start(arguments: &TelemetryArgs, command: &str) -> Result<Option<Self>, Failure> {
        arguments.check()?;
        if !arguments.wanted() {
            return Ok(None);
        }
        let handle = recorder()?;
        let listener =
            arguments.metrics_listen.map(|address| Listener::open(address, handle.clone())).transpose()?;
        let textfile = arguments.metrics_textfile.as_deref().map(Textfile::create).transpose()?;
        let gateway = arguments.gateway(command);
        let writer = (gateway.is_some() || textfile.is_some())
            .then(|| keep_writing(Sinks { handle, gateway, textfile }))
            .transpose()?;
        let linger = Duration::from_secs(arguments.metrics_linger);
        Ok(Some(Self { command: command.to_owned(), begun: Instant::now(), linger, listener, writer }))
    }

    /// Tells how the command ended, writes that to every output, and waits until a scrape has seen it.
    pub(crate) fn finish(self, exit: Exit) {
        command_ended(&self.command, exit.code(), self.begun.elapsed());
        if let Some((stop, thread)) = self.writer {
            drop(stop);
            if let Ok(mut sinks) = thread.join() {
                sinks.write();
            }
        }
        if let Some(listener) = self.listener {
            listener.linger(self.linger);
        }
    }
}

/// The recorder of this process, with the buckets of the catalogue: without them a histogram would come out as a
/// summary, which cannot be added up.
fn recorder() -> Result<PrometheusHandle, Failure> {
    let mut builder = PrometheusBuilder::new();
    for metric in ours() {
        if let MetricKind::Histogram(buckets) = metric.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                .map_err(Failure::failed)?;
        }
    }
    builder.install_recorder().map_err(|e| Failure::failed(format_args!("cannot set up the metrics: {e}")))
}

/// Writes to the sinks now and every few seconds, on a thread of its own, until the sender is dropped.
fn keep_writing(mut sinks: Sinks) -> Result<(Sender<()>, JoinHandle<Sinks>), Failure> {
    let (stop, stopped) = mpsc::channel();
    let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            sinks.write();
            if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
                return sinks;
            }
        }
    });
    let thread = thread.map_err(|e| Failure::failed(format_args!("cannot start a thread: {e}")))?;
    Ok((stop, thread))
}
