//! How long the statements of a chunk may wait and run, and how long its lease is good for.

use std::time::Duration;

use super::size::Sizing;
use crate::db::dialect::{self, Limits, Reading};
use crate::db::error::{DbError, Doing as _};
use crate::db::{AnyConnection, read_snapshot};
use crate::mapping::PARENT;
use crate::refilling;

/// The longest wait for one lock, on a server with the default `deadlock_timeout`.
const LOCK_LIMIT: Duration = Duration::from_millis(300);

/// The terms on which a process works on its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub limits: Limits,
    /// How a chunk finds its projects.
    pub reading: Reading,
    /// Whether this database can have drops on record, and so a restore.
    pub knows_drops: bool,
}

impl Terms {
    /// Reads the server's `deadlock_timeout`, and which tables there are.
    pub(super) fn read(connection: &mut AnyConnection, sizing: Sizing) -> Result<Self, DbError> {
        read_snapshot(connection, |c| {
            let lock = dialect::lock_limit(c, LOCK_LIMIT).doing("reading deadlock_timeout")?;
            let reading = dialect::best_reading(c, PARENT).doing("reading the size of the table")?;
            let knows_drops = refilling::can_be_recorded(c)?;
            Ok(Self { limits: Limits { lock, statement: sizing.statement_limit() }, reading, knows_drops })
        })
    }

    /// How long a lease is good for. The lock, the insert, the comparison, the ledger and the commit together may take
    /// no longer than three statements that run into their limit, so a lease needs no renewal.
    pub(super) fn lease_seconds(self) -> u64 {
        3 * self.limits.statement.as_secs() + 30
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backfill::ChunkTime;

    #[test]
    fn a_lease_outlasts_the_statements() {
        for ms in [10, 250, 10_000] {
            let sizing = Sizing::Aimed(ChunkTime::from_ms(ms).unwrap());
            let statement = sizing.statement_limit();
            let limits = Limits { lock: LOCK_LIMIT, statement };
            let terms = Terms { limits, reading: Reading::InOrder, knows_drops: true };
            assert!(Duration::from_secs(terms.lease_seconds()) > statement * 3, "{ms}");
        }
    }
}
