//! What a drop or a rehearsal tells while it works.

use crate::expand::Retry;

/// Something that a drop or a rehearsal begins, or has done.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Both sides of every project are compared, in one snapshot, for the plan of now. Nothing is locked.
    Comparing,
    /// PostgreSQL: the triggers of the change log are made, one table at a time, each under a lock that is waited for as
    /// those of the drop are.
    Watching,
    /// PostgreSQL: both sides are compared again, in the snapshot that is archived.
    ComparingAgain,
    /// So many projects are archived: on PostgreSQL in that snapshot, on SQLite with the file locked.
    Archiving {
        /// Projects.
        projects: i64,
    },
    /// PostgreSQL: a round of working off the change log is committed.
    CaughtUp {
        /// The round, from 1.
        round: u32,
        /// Entries that it has worked off.
        entries: i64,
        /// Entries that have come meanwhile; counted up to 100,000.
        left: i64,
    },
    /// The locks on all three tables are waited for; under them the columns are dropped.
    Locking,
    /// The locks were not to be had, or there was too much to do under them: rolled back, and tried again after a rest.
    Retry(Retry),
    /// PostgreSQL: what was made ahead of the locks is taken away.
    CleaningUp,
    /// PostgreSQL: what a drop or a rehearsal has left is taken away that was killed.
    ClearingLeftovers,
    /// The connection was lost at COMMIT: a fresh one asks what became of the drop.
    Asking,
}
