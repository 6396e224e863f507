//! The arguments about logs, the same for every command of the three binaries.

use std::path::PathBuf;

use tracing_subscriber::filter::LevelFilter;

const LOGS: &str = "Logs";

/// What a record looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line: time, level, message, fields.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Why the command failed.
    Error,
    /// What somebody should look at, though the work goes on.
    Warn,
    /// Beginnings, ends, waits, and progress every 5 s.
    #[default]
    Info,
    /// Every chunk, and words of the database that may quote a row.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    pub(super) const fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Where the log goes. Without any of these there is none: standard error speaks to a person.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LogArgs {
    /// Make every line on standard error a record of a log, in this format [without it, but with a --log-level: text].
    #[arg(long, help_heading = LOGS, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Write the log to the end of this file. Standard error still speaks to a person, unless --log-format=json.
    #[arg(long, help_heading = LOGS, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// The least level that is logged [without it: info]. Above debug no record holds a value of a project.
    #[arg(long, help_heading = LOGS, global = true, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

impl LogArgs {
    /// The format of standard error; `None` where it speaks to a person.
    pub(super) fn on_stderr(&self) -> Option<LogFormat> {
        match (self.log_format, &self.log_file) {
            (Some(LogFormat::Json), _) => Some(LogFormat::Json),
            (format, None) => format.or(self.log_level.map(|_| LogFormat::Text)),
            (_, Some(_)) => None,
        }
    }

    pub(super) fn in_file(&self) -> LogFormat {
        self.log_format.unwrap_or(LogFormat::Text)
    }
}

/// The format that a command line asks for, one that clap does not understand in the whole.
pub(crate) fn asks_for_json(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let words: Vec<_> = arguments.collect();
    words.iter().any(|word| word == "--log-format=json")
        || words.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_makes_every_line_of_stderr_a_record_and_text_leaves_it_beside_a_file() {
        let arguments = |format, file: bool, level| LogArgs {
            log_format: format,
            log_file: file.then(|| PathBuf::from("x.log")),
            log_level: level,
        };
        use LogFormat::{Json, Text};
        for (format, file, level, expected) in [
            (None, false, None, None),
            (None, true, None, None),
            (Some(Text), false, None, Some(Text)),
            (Some(Text), true, None, None),
            (Some(Json), false, None, Some(Json)),
            (Some(Json), true, None, Some(Json)),
            (None, false, Some(LogLevel::Warn), Some(Text)),
            (None, true, Some(LogLevel::Warn), None),
        ] {
            assert_eq!(arguments(format, file, level).on_stderr(), expected, "{format:?} {file} {level:?}");
        }
    }
}
