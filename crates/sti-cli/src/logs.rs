//! The log of a command: records with a level and fields, on standard error or in a file. docs/monitoring/logs.md says
//! what is told at which level.

pub(crate) mod arguments;
mod file;
mod observer;
mod one_line;

use std::time::Instant;

use tracing::Subscriber;
use tracing::subscriber::{set_global_default, with_default};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::answer::{Exit, Failure};
use crate::stderr;
pub use arguments::{LogArgs, LogFormat, LogLevel};
use file::LogFile;
pub use observer::LogObserver;
use one_line::OneLine;

/// The target of our records. Those of the crates that we use are not logged.
pub(crate) const TARGET: &str = "sti";

type AnyLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// The log of this process, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Logs {
    begun: Instant,
    command: String,
}

impl Logs {
    /// Opens what the arguments ask for, and writes the first record of a file.
    ///
    /// # Errors
    /// The file cannot be opened, or the first record not written.
    pub(crate) fn start(arguments: &LogArgs, command: &str) -> Result<Self, Failure> {
        let mut layers = Vec::new();
        if let Some(format) = arguments.on_stderr() {
            stderr::become_log(format);
            layers.push(layer(format, std::io::stderr));
            // A bug is told as a record, too.
            std::panic::set_hook(Box::new(|panic| tracing::error!(target: TARGET, "{panic}")));
        }
        let in_file = arguments.log_file.as_ref().map(|path| {
            let file = LogFile::open(path)?;
            let format = arguments.in_file();
            with_default(Registry::default().with(layer(format, file.clone())), || begins(command));
            file.begun()?;
            Ok(layer(format, file))
        });
        let opened = match in_file.transpose() {
            Ok(file) => {
                layers.extend(file);
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        if !layers.is_empty() {
            let ours = tracing_subscriber::filter::Targets::new()
                .with_target(TARGET, arguments.log_level.unwrap_or_default().filter());
            let subscriber = Registry::default().with(layers.with_filter(ours));
            set_global_default(subscriber)
                .map_err(|e| Failure::failed(format_args!("cannot set up the log: {e}")))?;
        }
        opened.map(|()| Self { begun: Instant::now(), command: command.to_owned() })
    }

    /// The last record.
    pub(crate) fn finish(&self, exit: Exit) {
        let (command, exit_code) = (self.command.as_str(), exit.code());
        let seconds = self.begun.elapsed().as_secs_f64();
        tracing::info!(target: TARGET, command, exit_code, seconds, "the command has ended");
    }
}

fn begins(command: &str) {
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    tracing::info!(target: TARGET, command, version, pid, "the command begins");
}

fn layer<S, W>(format: LogFormat, writer: W) -> AnyLayer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // What cannot be written is told by the writer itself.
    let layer = fmt::layer().with_target(false).log_internal_errors(false);
    match format {
        LogFormat::Text => layer.with_writer(OneLine(writer)).boxed(),
        LogFormat::Json => {
            let layer = layer.with_writer(writer);
            layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    }
}

/// Tells of a failure. Words of the database that may quote a row are left to level debug.
pub(crate) fn failure(failure: &Failure) {
    let exit_code = failure.exit.code();
    match &failure.quotes {
        None => tracing::error!(target: TARGET, exit_code, "{}", failure.message),
        Some(words) => {
            let message =
                failure.message.replace(words.as_str(), "words that may quote a row (see level debug)");
            tracing::error!(target: TARGET, exit_code, "{message}");
            tracing::debug!(target: TARGET, words, "what the database said");
        }
    }
}
