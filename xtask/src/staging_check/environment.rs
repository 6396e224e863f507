//! Where and with what the walk was made.

use std::env::consts;
use std::process::Command;

use serde::Serialize;

use super::database::Database;
use super::tools::Tools;
use crate::failure::{Failure, workspace};

/// Versions and the target, without any secret.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Environment {
    pub(super) began_at: String,
    /// Host and database, or file.
    pub(super) database: String,
    pub(super) server: String,
    pub(super) tools: Vec<String>,
    /// The commit of the tree, `-dirty` where something is not committed; none outside a git checkout.
    pub(super) commit: Option<String>,
    pub(super) system: String,
}

impl Environment {
    pub(super) fn look(database: &Database, tools: &Tools) -> Result<Self, Failure> {
        let version = database
            .either("'PostgreSQL ' || current_setting('server_version')", "'SQLite ' || sqlite_version()");
        Ok(Self {
            began_at: chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            database: database.url().to_string(),
            server: database.value(version, "")?.unwrap_or_default(),
            tools: tools.versions()?,
            commit: commit(),
            system: format!("{} {}", consts::OS, consts::ARCH),
        })
    }
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(workspace()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"])?;
    let clean = git(&["status", "--porcelain"])?.is_empty();
    Some(if clean { head } else { format!("{head}-dirty") })
}
