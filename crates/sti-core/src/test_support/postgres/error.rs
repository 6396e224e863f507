//! What can go wrong between finding PostgreSQL and its first answer.

use std::io;
use std::path::PathBuf;

/// Why there is no test server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No folder holds both `initdb` and `postgres`.
    #[error("no PostgreSQL server binaries (searched {searched}); {}", super::INSTALL_HINT)]
    NotFound {
        /// The places looked at, in their order.
        searched: String,
    },
    /// pgbouncer is not installed.
    #[error("no pgbouncer (searched PATH and /usr/sbin); {}", super::BOUNCER_HINT)]
    NoBouncer,
    /// The file system or a process could not be used.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, as a verb phrase.
        action: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed: {output}")]
    Program {
        /// The program and what it worked on.
        program: String,
        /// Its error output.
        output: String,
    },
    /// The server did not accept a connection in time.
    #[error("the server in {} gave no connection within {seconds} s: {reason}; its log ends: {log}", folder.display())]
    NotReady {
        /// The server's folder.
        folder: PathBuf,
        /// How long was waited.
        seconds: u64,
        /// The last connection error.
        reason: String,
        /// The last lines of its log.
        log: String,
    },
    /// Root cannot run the server, and there is no other account to run it.
    #[error("PostgreSQL refuses to run as root and there is neither a user `postgres` nor `nobody` here")]
    NoAccount,
}

impl ServerError {
    /// An [`ServerError::Io`] in the making: `.map_err(ServerError::io("make a folder"))`.
    pub(in crate::test_support) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
