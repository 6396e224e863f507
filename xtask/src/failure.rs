//! Why a task could not be done, as opposed to done with a negative answer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What every task ends with: an exit code, or the reason why there is no answer (exit 2).
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// A message for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// `.map_err(Failure::during("read the tree"))`
    pub(crate) fn during<E: fmt::Display>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |error| Self(format!("cannot {action}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}
