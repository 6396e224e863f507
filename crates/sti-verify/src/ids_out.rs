//! The file of `--ids-out`: complete, or not there.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use sti_cli::{Failure, whole_file};
use sti_core::verify::{Finding, FindingSink, Lines};
use tempfile::TempPath;

/// A file beside the one that was asked for; it takes its name only when it is whole and on disk.
pub(crate) struct IdsOut {
    path: PathBuf,
    /// Removes the file, unless it has got its name.
    temporary: TempPath,
    lines: Lines<BufWriter<File>>,
}

impl IdsOut {
    /// Makes the file, before any work is done: a folder that takes no file is told at once.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(failure(path, &"it is no regular file"));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(failure(path, &format_args!("there is no folder {}", folder.display())));
        }
        // The kind only: the message names a file that nobody has asked for.
        let (file, temporary) =
            whole_file::beside(path).map_err(|error| failure(path, &error.kind()))?.into_parts();
        Ok(Self { path: path.to_owned(), temporary, lines: Lines(BufWriter::new(file)) })
    }

    /// Puts the file in its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let Self { path, temporary, lines: Lines(mut out) } = self;
        let finish = || -> io::Result<()> {
            out.flush()?;
            out.get_ref().sync_all()?;
            temporary.persist(&path).map_err(|failed| failed.error)
        };
        finish().map_err(|error| failure(&path, &error))
    }

    /// What to say when a line could not be written.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        failure(&self.path, error)
    }
}

impl FindingSink for IdsOut {
    fn finding(&mut self, finding: Finding) -> io::Result<()> {
        self.lines.finding(finding)
    }
}

fn failure(path: &Path, reason: &dyn Display) -> Failure {
    Failure::failed(format_args!(
        "cannot write {}: {reason}; nothing there was changed, choose another place for --ids-out",
        path.display()
    ))
}
