//! A command that runs while the test goes on.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running command; what it says on stderr is read as it comes.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(Vec::new()));
        let saying = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                saying.lock().unwrap().push(line);
            }
        });
        Self { child, said, reader }
    }

    /// Waits until it has said a line that contains `text`.
    #[track_caller]
    pub(crate) fn wait_until_it_says(&self, text: &str) {
        let begun = Instant::now();
        while !self.said.lock().unwrap().iter().any(|line| line.contains(text)) {
            let late = begun.elapsed() > Duration::from_secs(60);
            assert!(!late, "it does not say {text:?}: {:#?}", self.said.lock().unwrap());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The first line that contains `text`, which it must have said.
    pub(crate) fn line(&self, text: &str) -> String {
        let said = self.said.lock().unwrap();
        said.iter().find(|line| line.contains(text)).cloned().unwrap_or_else(|| panic!("{said:#?}"))
    }

    /// Sends a signal, as in `TERM`. One to a process that has ended is lost.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args([&format!("-{name}"), &pid]).stderr(Stdio::null()).status().unwrap();
    }

    /// Stops it, and waits until none of its threads runs any more: the signal is there at once, and on a busy machine a
    /// thread may still go on for a while.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.child.id());
        let runs = |thread: std::io::Result<std::fs::DirEntry>| {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
            !status.lines().any(|line| line.starts_with("State:\tT"))
        };
        while std::fs::read_dir(&threads).unwrap().any(runs) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Output {
        let mut output = self.child.wait_with_output().unwrap();
        self.reader.join().unwrap();
        output.stderr = self.said.lock().unwrap().join("\n").into_bytes();
        output
    }
}
