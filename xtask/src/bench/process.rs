//! A program under measurement: how long it took, and how much memory it ever had.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How often the memory is read. The kernel keeps the peak, so only the last moments can be missed.
const LOOK: Duration = Duration::from_millis(20);

/// What a program needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    /// The most resident memory at any time, in KiB; `None` where the system does not tell.
    pub(super) peak_kib: Option<u64>,
}

/// Runs a program to its end. An exit code above `most` is a failure; its words are the message.
pub(super) fn measure(command: &mut Command, most: i32) -> Result<Measured, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let began = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = child.map_err(Failure::during(format!("run {program}")))?;
    let pid = child.id();
    let watch = thread::spawn(move || {
        let mut peak = None;
        while let Some(kib) = peak_kib(pid) {
            peak = Some(kib);
            thread::sleep(LOOK);
        }
        peak
    });
    let output = child.wait_with_output().map_err(Failure::during(format!("wait for {program}")))?;
    let seconds = began.elapsed().as_secs_f64();
    let peak_kib = watch.join().unwrap_or_default();
    if output.status.code().is_none_or(|code| code > most) {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{program} failed ({}): {}", output.status, words.trim())));
    }
    Ok(Measured { seconds, peak_kib })
}

/// `VmHWM` of a process that is there.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
