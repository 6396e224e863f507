//! How long work is asked to stop: a signal, and a second connection that cancels the statement that runs.

use std::sync::Arc;
use std::time::Duration;

use crate::backfill::StopSignal;
use crate::db::dialect::Canceller;
use crate::db::{AnyConnection, ConnectError};

/// How long work, such as a verification or a drop, is asked to stop.
#[derive(Clone)]
pub struct Interrupt {
    /// Stops it when it is set.
    pub signal: StopSignal,
    /// Opens another connection to the same database as the same role, which then cancels the statement that runs.
    /// Not used for SQLite, nor before the signal.
    pub connect: Arc<dyn Fn() -> Result<AnyConnection, ConnectError> + Send + Sync>,
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt").field("signal", &self.signal).finish_non_exhaustive()
    }
}

/// How often the signal is looked at, and how often a statement is cancelled until it is.
const LOOK: Duration = Duration::from_millis(50);

/// Does `work` in the transaction of `canceller`, whose statements are cancelled as soon as the signal is set, until it
/// comes back.
pub(crate) fn interruptible<T>(
    canceller: Option<Canceller>,
    interrupt: Option<&Interrupt>,
    work: impl FnOnce() -> T,
) -> T {
    let (Some(canceller), Some(interrupt)) = (canceller, interrupt) else { return work() };
    let done = StopSignal::default();
    std::thread::scope(|scope| {
        scope.spawn(|| cancel_when_asked(canceller, interrupt, &done));
        let ended = Ended(&done);
        let worked = work();
        drop(ended);
        worked
    })
}

/// Tells that the work has ended, also if it panics: the scope waits for the thread.
struct Ended<'d>(&'d StopSignal);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A cancellation that comes between two statements ends nothing, so it is repeated until the work has ended. Without
/// a connection the statement runs on, and the signal is seen behind it.
fn cancel_when_asked(canceller: Canceller, interrupt: &Interrupt, done: &StopSignal) {
    let mut connection = None;
    while !done.is_set() {
        if interrupt.signal.is_set() {
            connection = connection.or_else(|| (interrupt.connect)().ok());
            if let Some(open) = &mut connection
                && canceller.cancel(open).is_err()
            {
                connection = None;
            }
        }
        done.rest(LOOK);
    }
}
