//! SIGINT and SIGTERM: the first one asks for a stop (of what works in chunks behind the one that is under way, of a
//! verification at once, of a drop before its locks), a second one leaves at once. The database then rolls back what is open; what
//! is committed stays, and the next command goes on from there.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use sti_core::backfill::StopSignal;

use crate::answer::{Exit, Failure};

/// What comes so soon after the first signal is the same wish: `timeout` signals its child, and then the group that it
/// is in.
const SAME: Duration = Duration::from_millis(300);

/// Listens until it is dropped. From then on the signals do nothing, unless somebody else listens.
#[derive(Debug)]
pub struct Listener {
    signals: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Sets `stop` at the first signal, and exits with `second` at a second one.
    ///
    /// # Errors
    /// The handlers could not be installed.
    pub fn start(stop: &StopSignal, second: Exit) -> Result<Self, Failure> {
        let failed = |error| Failure::failed(format_args!("cannot install the signal handlers: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let (handle, stop) = (signals.handle(), stop.clone());
        let listen = move || {
            let mut first: Option<Instant> = None;
            for _ in signals.forever() {
                stop.stop();
                if first.get_or_insert_with(Instant::now).elapsed() > SAME {
                    signal_hook::low_level::exit(i32::from(second.code()));
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
        Ok(Self { signals: handle, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.signals.close();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
