//! `--format`: a report as text, JSON or Markdown.

use std::io::{self, Write};

use crate::answer::Failure;
use crate::document::Document;

/// How a report is written to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people at a terminal.
    #[default]
    Text,
    /// For programs: one object.
    Json,
    /// For issues, chats and documents.
    Markdown,
}

/// A report: computed first, written by pure functions.
pub trait Report {
    /// The report for people.
    fn document(&self) -> Document;

    /// The report for programs. Its shape has a type of its own and changes only on purpose.
    ///
    /// # Errors
    /// Only if a value has no form in JSON.
    fn json(&self) -> serde_json::Result<serde_json::Value>;

    /// Writes the report in `format`.
    ///
    /// # Errors
    /// What the writer says.
    fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Text => self.document().write_text(out),
            Format::Markdown => self.document().write_markdown(out),
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &self.json()?)?;
                writeln!(out)
            }
        }
    }

    /// Writes the report to stdout. A reader that has gone away (a closed pipe) is no failure.
    ///
    /// # Errors
    /// Exit code 2 when stdout cannot be written: a full disk, for example.
    fn print(&self, format: Format) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match self.write(format, &mut out).and_then(|()| out.flush()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::failed(format_args!("cannot write the report to standard output: {e}")))
            }
            _ => Ok(()),
        }
    }
}
