//! Standard error: it speaks to the person who typed the command (plain lines, a bar), or it is a log, in which every
//! line is a record. Never both.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use chrono::{SecondsFormat, Utc};
use indicatif::ProgressBar;

use crate::logs::{LogFormat, TARGET};

static LOG: OnceLock<LogFormat> = OnceLock::new();
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Says something that is not the report: a line for the person, and a record of level info in a log.
pub fn say(line: impl Display) {
    show(&line);
    tracing::info!(target: TARGET, "{line}");
}

/// Says something that somebody should look at, though the work goes on: [`say`] at level warn.
pub fn warn(line: impl Display) {
    show(format_args!("warning: {line}"));
    tracing::warn!(target: TARGET, "{line}");
}

/// A line for the person alone: of what it says, a log is told in a record of its own. A closed stderr is no reason to
/// stop.
pub(crate) fn show(line: impl Display) {
    if is_log() {
        return;
    }
    let write = || {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    };
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // The bar is taken away for as long as something is written, and comes back below it.
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// From now on every line is a record of this format.
pub(crate) fn become_log(format: LogFormat) {
    let _ = LOG.set(format);
}

pub(crate) fn is_log() -> bool {
    LOG.get().is_some()
}

/// The bar that is on the screen from now on.
pub(crate) fn hold_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Tells of a trouble with the logs themselves, or from before there are any: by hand, since no record gets through.
pub(crate) fn tell_of_logs(level: &str, message: &str) {
    let Some(format) = LOG.get() else {
        return show(format_args!("warning: {message}"));
    };
    let _ = writeln!(std::io::stderr().lock(), "{}", record(*format, level, message));
}

/// A record by hand, as the subscriber would have written it.
pub(crate) fn record(format: LogFormat, level: &str, message: &str) -> String {
    let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    match format {
        LogFormat::Text => format!("{timestamp} {level:>5} {message}"),
        LogFormat::Json => {
            serde_json::json!({ "timestamp": timestamp, "level": level, "message": message }).to_string()
        }
    }
}
