//! A log in a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use crate::answer::Failure;
use crate::stderr::tell_of_logs;

/// The end of a file. Each record is written at once, so that the records of two processes do not mix.
#[derive(Clone, Debug)]
pub(super) struct LogFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    trouble: Mutex<Trouble>,
}

#[derive(Debug)]
enum Trouble {
    /// The first record is being written: what goes wrong ends the command.
    Beginning(Option<io::Error>),
    /// What goes wrong is told once: a full disk is no reason to stop the work.
    Running { told: bool },
}

impl LogFile {
    /// Opens the file, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let opened = File::options().append(true).create(true).open(path);
        let file = opened.map_err(|e| Failure::failed(complaint(path, &e)))?;
        let trouble = Mutex::new(Trouble::Beginning(None));
        Ok(Self(Arc::new(Inner { path: path.to_owned(), file, trouble })))
    }

    /// The first record has been written, or has not.
    pub(super) fn begun(&self) -> Result<(), Failure> {
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *trouble, Trouble::Running { told: false });
        match before {
            Trouble::Beginning(Some(e)) => Err(Failure::failed(complaint(&self.0.path, &e))),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: io::Error) {
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *trouble {
            Trouble::Beginning(first) => *first = Some(error),
            Trouble::Running { told: true } => {}
            Trouble::Running { told } => {
                *told = true;
                tell_of_logs("WARN", &format!("{}; the work goes on", complaint(&self.0.path, &error)));
            }
        }
    }
}

fn complaint(path: &Path, error: &io::Error) -> String {
    format!("cannot write the log file {}: {error}", path.display())
}

impl Write for LogFile {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if let Err(error) = (&self.0.file).write_all(record) {
            self.failed(error);
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
