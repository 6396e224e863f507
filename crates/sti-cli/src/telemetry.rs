//! Metrics of a run, written where node_exporter's textfile collector finds them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sti_core::metrics::CHUNK_DURATION_BUCKETS;
use sti_core::observe::{Event, Observer};

use crate::answer::{Failure, say};

/// The longest time between two writes of the file while chunks are being done.
const INTERVAL: Duration = Duration::from_secs(5);

/// The metrics file. As an observer it keeps the file up to date.
#[derive(Clone)]
pub struct Textfile {
    path: PathBuf,
    handle: PrometheusHandle,
    written: Arc<Mutex<Instant>>,
}

impl std::fmt::Debug for Textfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Textfile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Textfile {
    /// Installs the recorder of this process and writes the file once, so that a path that cannot be written is told
    /// before any work is done.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn install(path: &Path) -> Result<Self, Failure> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&CHUNK_DURATION_BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .map_err(|e| Failure::failed(format_args!("cannot set up the metrics: {e}")))?;
        let textfile =
            Self { path: path.to_owned(), handle: recorder, written: Arc::new(Mutex::new(Instant::now())) };
        textfile.write().map_err(|e| {
            Failure::failed(format_args!("cannot write the metrics file {}: {e}", path.display()))
        })?;
        Ok(textfile)
    }

    /// Writes the file as a whole: a temporary file beside it, then a rename.
    fn write(&self) -> std::io::Result<()> {
        self.handle.run_upkeep();
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(self.handle.render().as_bytes())?;
        file.as_file().sync_all()?;
        // The collector runs as another user.
        #[cfg(unix)]
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// Writes the file; a failure is told and changes nothing else.
    pub fn write_or_warn(&self) {
        if let Err(e) = self.write() {
            say(format_args!("warning: cannot write the metrics file {}: {e}", self.path.display()));
        }
    }
}

impl Observer for Textfile {
    fn event(&self, event: &Event) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let due = written.elapsed() >= INTERVAL || matches!(event, Event::RunStarted { .. });
        if due {
            *written = Instant::now();
            drop(written);
            self.write_or_warn();
        }
    }
}
