//! A backfill whose progress and metrics are kept true to the ledger while other processes work on the same run.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use sti_cli::progress::Others;
use sti_core::backfill::{Owner, done_by_others, last_run, oldest_lease};
use sti_core::db::error::DbError;
use sti_core::db::{Access, AnyConnection, DatabaseUrl, connect, read_snapshot};
use sti_core::metrics::MetricsObserver;

/// The time between two readings of the ledger, each of them one statement over the run's chunks, or two.
const INTERVAL: Duration = Duration::from_secs(2);

/// The readings that are left out behind one that failed: whoever works goes first where connections are few.
const LEFT_OUT: u32 = 15;

/// A reading that hangs keeps nobody from ending for longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whom a reading is for.
pub(super) struct Readers {
    /// Who this process is, as its leases name it.
    pub owner: Owner,
    pub progress: Others,
    /// `None` when nobody asked for metrics.
    pub metrics: Option<Arc<MetricsObserver>>,
}

impl Readers {
    fn read(&self, connection: &mut AnyConnection) -> Result<(), DbError> {
        read_snapshot(connection, |connection| {
            if let Some((run, totals)) = done_by_others(connection, &self.owner)? {
                self.progress.are_at(run, totals);
            }
            let Some(metrics) = &self.metrics else { return Ok(()) };
            let Some(run) = last_run(connection)? else { return Ok(()) };
            metrics.ledger(&run, oldest_lease(connection, run.run)?);
            Ok(())
        })
    }
}

/// Reads the ledger now and then until it is dropped, on a thread and a connection of its own.
#[derive(Debug)]
pub(super) struct LedgerWatch {
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl LedgerWatch {
    /// Starts reading. A ledger that cannot be read now is read the next time: progress and gauges are late then, and
    /// nothing else; the end of the run sets them right.
    pub(super) fn start(url: DatabaseUrl, readers: Readers) -> Self {
        let (stop, stopped) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let watch = move || {
            let _end = end;
            let (mut connection, mut left_out) = (None, 0);
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if left_out > 0 {
                    left_out -= 1;
                    continue;
                }
                let opened =
                    connection.take().or_else(|| connect(&url, Access::Read, "sti backfill ledger").ok());
                // One that failed is perhaps gone.
                connection = opened.and_then(|mut opened| readers.read(&mut opened).ok().map(|()| opened));
                left_out = if connection.is_none() { LEFT_OUT } else { 0 };
            }
        };
        // Without the thread each process shows what it has done itself.
        let _ = std::thread::Builder::new().name("ledger".to_owned()).spawn(watch);
        Self { stop: Some(stop), ended }
    }
}

impl Drop for LedgerWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}
