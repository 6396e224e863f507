//! Metrics in a file, where node_exporter's textfile collector finds them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::answer::Failure;
use crate::stderr::warn;

/// The metrics file.
#[derive(Debug)]
pub(super) struct Textfile {
    path: PathBuf,
}

impl Textfile {
    /// Writes an empty file, so that a path that cannot be written is told before any work is done.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let textfile = Self { path: path.to_owned() };
        textfile.write("").map_err(|e| Failure::failed(textfile.complaint(&e)))?;
        Ok(textfile)
    }

    /// Writes the file as a whole: a temporary file beside it, then a rename.
    fn write(&self, text: &str) -> std::io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        // The collector runs as another user.
        #[cfg(unix)]
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// Writes the file; a failure is told and changes nothing else.
    pub(super) fn write_or_warn(&mut self, text: &str) {
        if let Err(e) = self.write(text) {
            warn(self.complaint(&e));
        }
    }

    fn complaint(&self, error: &std::io::Error) -> String {
        format!("cannot write the metrics file {}: {error}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::*;

    /// The collector may be in the middle of a file when the next one comes.
    #[test]
    fn whoever_reads_the_old_file_reads_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sti.prom");
        let textfile = Textfile::create(&path).unwrap();
        textfile.write("old 1\n").unwrap();
        let mut collector = fs::File::open(&path).unwrap();
        textfile.write("new").unwrap();
        let mut read = String::new();
        collector.read_to_string(&mut read).unwrap();
        assert_eq!((read.as_str(), fs::read_to_string(&path).unwrap().as_str()), ("old 1\n", "new"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else lies about");
    }
}
