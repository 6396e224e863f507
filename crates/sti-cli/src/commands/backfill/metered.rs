//! A backfill whose metrics are kept true to the ledger while other processes work on the same run.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use sti_core::backfill::{LastRun, last_run, oldest_lease};
use sti_core::db::error::DbError;
use sti_core::db::sql_types::Timestamp;
use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect, read_snapshot};
use sti_core::metrics::MetricsObserver;

/// The time between two readings of the ledger, each one statement over the run's chunks.
const INTERVAL: Duration = Duration::from_secs(5);

fn read(connection: &mut AnyConnection) -> Result<Option<(LastRun, Option<Timestamp>)>, DbError> {
    read_snapshot(connection, |connection| {
        let Some(run) = last_run(connection)? else { return Ok(None) };
        let oldest_lease = oldest_lease(connection, run.run)?;
        Ok(Some((run, oldest_lease)))
    })
}

/// Reads the ledger now and then until it is dropped.
#[derive(Debug)]
pub(super) struct LedgerWatch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LedgerWatch {
    /// Starts reading. A ledger that cannot be read now is read the next time: the gauges are late then, and nothing
    /// else; the end of the run sets them right.
    pub(super) fn start(url: DatabaseUrl, metrics: Arc<MetricsObserver>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let watch = move || {
            let mut connection = None;
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                connection = connection.or_else(|| connect(&url, Access::Read, "sti backfill metrics").ok());
                match connection.as_mut().map(read) {
                    Some(Ok(Some((run, oldest_lease)))) => metrics.ledger(&run, oldest_lease),
                    // Perhaps the connection is gone.
                    Some(Err(_)) => connection = None,
                    Some(Ok(None)) | None => {}
                }
            }
        };
        let thread = std::thread::Builder::new().name("metrics-ledger".to_owned()).spawn(watch).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for LedgerWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
