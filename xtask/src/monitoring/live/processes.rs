//! Programs that are started here, and end here.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;

/// Runs a program, and kills it when its own standard input ends: when this process is gone, however it went, nothing
/// stays behind. A program that ends by itself ends it as well.
const KEEPER: &str = r#"
pid_file=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
echo $program >"$pid_file"
(cat <&3 >/dev/null; kill -KILL $program) 2>/dev/null &
wait $program
"#;

/// A program that is running; killed when this is dropped.
pub(super) struct Running {
    keeper: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Running {
    /// Starts it; what it says goes to a file in `folder`.
    pub(super) fn start(folder: &Path, name: &str, command: &Command) -> Result<Self, Failure> {
        let log = folder.join(format!("{name}.log"));
        let pid_file = folder.join(format!("{name}.pid"));
        let file = File::create(&log).map_err(Failure::during(format!("write {}", log.display())))?;
        let twin = file.try_clone().map_err(Failure::during(format!("write {}", log.display())))?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&pid_file).arg(command.get_program()).args(command.get_args());
        keeper.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        keeper.current_dir(folder).stdin(Stdio::piped()).stdout(twin).stderr(file);
        let keeper = keeper.spawn().map_err(Failure::during(format!("run {name}")))?;
        Ok(Self { keeper, log, pid_file })
    }

    /// Sends it a signal, as in `STOP`.
    pub(super) fn signal(&self, signal: &str) -> Result<(), Failure> {
        let process = fs::read_to_string(&self.pid_file).map_err(Failure::during("read a process id"))?;
        let status = Command::new("kill").args([&format!("-{signal}"), process.trim()]).status();
        if status.map_err(Failure::during("run kill"))?.success() {
            Ok(())
        } else {
            Err(Failure::new(format!("{} is gone; it said:\n{}", self.name(), self.said())))
        }
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.keeper.try_wait(), Ok(Some(_)))
    }

    /// The end of what it said.
    pub(super) fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// What it was called.
    pub(super) fn name(&self) -> String {
        self.log.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its input is what the keeper waits for; with the program ended, so is the keeper.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A port that is free now.
pub(super) fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::during("find a free port"))?;
    Ok(listener.local_addr().map_err(Failure::during("find a free port"))?.port())
}
