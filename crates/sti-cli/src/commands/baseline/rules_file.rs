//! The rules file that holds a baseline.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use sti_cli::Failure;
use sti_cli::prometheus::{Prometheus, promql};

use super::measure::Baseline;

/// Writes the file as a whole, and never over one that is there.
pub(super) fn write(
    path: &Path,
    prometheus: &Prometheus,
    over: Duration,
    baselines: &[Baseline],
) -> Result<(), Failure> {
    let now = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let text = text(&now, prometheus.url().as_str(), over, baselines);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        // Prometheus runs as another user.
        #[cfg(unix)]
        std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist_noclobber(path).map_err(|failed| failed.error)?;
        Ok(())
    };
    write().map_err(|e| Failure::failed(format_args!("cannot write {}: {e}", path.display())))
}

fn text(now: &str, url: &str, over: Duration, baselines: &[Baseline]) -> String {
    let mut text = format!(
        "# Written by `sti baseline` at {now}: averages over the {} before, from {url}.\n\
         # The alerts of the rollout compare with these figures. Not to be taken again while the rollout is under way.\n\
         groups:\n- name: sti-baseline\n  rules:\n",
        promql(over)
    );
    for Baseline { subject, of, seconds } in baselines {
        let _ = write!(
            text,
            "  - record: {}\n    expr: vector({seconds})\n    labels: {{{}: {}}}\n",
            subject.recorded(),
            subject.label(),
            // A JSON text is a YAML text.
            serde_json::Value::from(of.as_str()),
        );
    }
    text
}
