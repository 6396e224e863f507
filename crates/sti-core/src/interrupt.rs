//! How work that takes long is asked to stop: a signal, and a second connection that cancels the statement that runs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backfill::StopSignal;
use crate::db::dialect::Canceller;
use crate::db::{AnyConnection, ConnectError};

/// How work that takes long, such as a verification or a drop, is asked to stop.
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

/// The longest wait for a cancellation that is being sent.
const SENDING: Duration = Duration::from_secs(1);

/// The rest after a connection that was not to be had.
const NO_CONNECTION: Duration = Duration::from_secs(1);

/// Does `work` in the transaction of `canceller`, whose statements are cancelled as soon as the signal is set, until it
/// comes back. Without a thread or a connection for that the statement runs on, and the signal is seen behind it.
pub(crate) fn interruptible<T>(
    canceller: Option<Canceller>,
    interrupt: Option<&Interrupt>,
    work: impl FnOnce() -> T,
) -> T {
    let (Some(canceller), Some(interrupt)) = (canceller, interrupt) else { return work() };
    let ended = Ended::default();
    let (interrupt, told) = (interrupt.clone(), Ended(Arc::clone(&ended.0)));
    let cancelling = move || cancel_when_asked(canceller, &interrupt, &told);
    // Nobody waits for it: it may be on its way to a connection, which a pooler has only when this transaction is over.
    let _ = std::thread::Builder::new().name("cancel".to_owned()).spawn(cancelling);
    let ending = Ending(&ended);
    let worked = work();
    drop(ending);
    worked
}

/// How the work and the thread stand.
#[derive(Default)]
struct State {
    /// The work has come back.
    ended: bool,
    /// A cancellation is on its way to the server.
    sending: bool,
}

/// What both of them have of it.
#[derive(Default)]
struct Ended(Arc<(Mutex<State>, Condvar)>);

impl Ended {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end of the work, at most for so long; gives whether it has come.
    fn within(&self, time: Duration) -> bool {
        let waited = self.0.1.wait_timeout_while(self.lock(), time, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Sends a cancellation, unless the work has come back.
    fn send<E>(&self, cancel: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        state.sending = true;
        drop(state);
        let sent = cancel();
        self.lock().sending = false;
        self.0.1.notify_all();
        sent
    }
}

/// Tells that the work has come back, also if it panics. It waits for a cancellation that is being sent, so that none comes
/// later; but not for long: a pooler may have no session for it before this transaction is over.
struct Ending<'e>(&'e Ended);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let Self(Ended(shared)) = self;
        let mut state = self.0.lock();
        state.ended = true;
        shared.1.notify_all();
        let _ = shared.1.wait_timeout_while(state, SENDING, |state| state.sending);
    }
}

/// A cancellation that comes between two statements ends nothing, so it is repeated until the work has ended.
fn cancel_when_asked(canceller: Canceller, interrupt: &Interrupt, ended: &Ended) {
    let mut connection = None;
    let mut rest = LOOK;
    while !ended.within(rest) {
        rest = LOOK;
        if !interrupt.signal.is_set() {
            continue;
        }
        connection = connection.or_else(|| (interrupt.connect)().ok());
        let Some(open) = &mut connection else {
            rest = NO_CONNECTION;
            continue;
        };
        if ended.send(|| canceller.cancel(open)).is_err() {
            connection = None;
        }
    }
}
