//! The tools, run as commands by path, as their user runs them.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::database::Database;
use crate::failure::{Failure, workspace};

/// The binaries that are driven, each with the package that makes it.
const BINARIES: [(&str, &str); 3] =
    [("sti-cli", "sti"), ("sti-verify", "sti-verify"), ("sti-migrate", "sti-migrate")];

/// A folder that holds them.
#[derive(Debug)]
pub(super) struct Tools {
    folder: PathBuf,
}

/// A command that ran to its end.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// As it would be typed; the database is in `DATABASE_URL`.
    pub(super) line: String,
    /// The exit code; `None` for one that a signal ended.
    pub(super) exit: Option<i32>,
    pub(super) seconds: f64,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Tools {
    /// Builds them once, with the features that they ship with.
    pub(super) fn build() -> Result<Self, Failure> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--bins", "--message-format=json-render-diagnostics"]).current_dir(workspace());
        cargo.args(BINARIES.iter().flat_map(|(package, _)| ["-p", package]));
        let output = cargo.stderr(Stdio::inherit()).output().map_err(Failure::during("run cargo build"))?;
        if !output.status.success() {
            return Err(Failure::new("cargo build failed; its messages are above"));
        }
        // cargo says where it put them: the folder depends on profile, target and environment.
        let mut executables = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| {
            let message: Value = serde_json::from_slice(line).ok()?;
            message.get("executable")?.as_str().map(PathBuf::from)
        });
        let folder = executables.next().as_deref().and_then(Path::parent).map(Path::to_path_buf);
        Self::in_folder(folder.ok_or_else(|| Failure::new("cargo build named no executable"))?)
    }

    /// Takes those that are there.
    pub(super) fn in_folder(folder: PathBuf) -> Result<Self, Failure> {
        for (_, binary) in BINARIES {
            if !folder.join(binary).is_file() {
                return Err(Failure::new(format!("there is no {binary} in {}", folder.display())));
            }
        }
        Ok(Self { folder })
    }

    /// `sti --version` and the others.
    pub(super) fn versions(&self) -> Result<Vec<String>, Failure> {
        let version = |(_, binary): &(_, &str)| {
            let output = Command::new(self.folder.join(binary)).arg("--version").output();
            let output = output.map_err(Failure::during(format!("run {binary}")))?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        BINARIES.iter().map(version).collect()
    }

    /// Runs `line`, as in `ENABLE_STI=true sti backfill --format json`, to its end.
    pub(super) fn run(&self, database: &Database, line: &str) -> Result<Ran, Failure> {
        let began = Instant::now();
        let output = self.command(database, line).output();
        let output = output.map_err(Failure::during(format!("run {line}")))?;
        Ok(Ran {
            line: line.to_owned(),
            exit: output.status.code(),
            seconds: began.elapsed().as_secs_f64(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts `line`; its standard error is to be read.
    pub(super) fn start(&self, database: &Database, line: &str) -> Result<Running, Failure> {
        let mut command = self.command(database, line);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let child = child.map_err(Failure::during(format!("start {line}")))?;
        Ok(Running { line: line.to_owned(), child, began: Instant::now() })
    }

    fn command(&self, database: &Database, line: &str) -> Command {
        let (settings, words): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.starts_with("ENABLE_STI="));
        let (binary, arguments) = words.split_first().unwrap_or((&"sti", &[]));
        let mut command = Command::new(self.folder.join(binary));
        command.args(arguments).stdin(Stdio::null());
        command.env("DATABASE_URL", database.secret_url()).env_remove("ENABLE_STI");
        for (name, value) in settings.iter().filter_map(|setting| setting.split_once('=')) {
            command.env(name, value);
        }
        command
    }
}

/// A command that is under way; killed when dropped.
pub(super) struct Running {
    line: String,
    child: Child,
    began: Instant,
}

impl Running {
    /// Reads its messages up to one that contains `words`; false if it ended before.
    pub(super) fn says(&mut self, words: &str) -> bool {
        let Some(stderr) = self.child.stderr.as_mut() else { return false };
        BufReader::new(stderr).lines().map_while(Result::ok).any(|line| line.contains(words))
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`.
    pub(super) fn kill(mut self) -> Result<(Ran, ExitStatus), Failure> {
        let seconds = self.began.elapsed().as_secs_f64();
        // One that has ended meanwhile is no error here: its exit code tells.
        let _ = self.child.kill();
        let status = self.child.wait().map_err(Failure::during(format!("wait for {}", self.line)))?;
        let line = self.line.clone();
        Ok((Ran { line, exit: status.code(), seconds, stdout: String::new(), stderr: String::new() }, status))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    /// Its report.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.stdout).map_err(|error| {
            let (line, words) = (&self.line, self.stderr.trim());
            Failure::new(format!("`{line}` printed no JSON ({error}); it said: {words}"))
        })
    }

    /// The exit code in words.
    pub(super) fn exit_words(&self) -> String {
        self.exit.map_or_else(|| "killed".to_owned(), |code| code.to_string())
    }
}
