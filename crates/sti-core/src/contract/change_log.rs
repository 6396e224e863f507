//! The change log: what is written to the three tables while a drop compares and archives them ahead of its locks.
//!
//! A trigger on each table appends the ids that a statement has written, old and new ones. The triggers are committed
//! before the snapshot is opened that is compared: whatever that does not see is in the log, once it is committed.
//! Writers only append and never wait for each other there: the log has no key and no sequence, whose order would not
//! be that of the commits anyway.
//!
//! What is in it is worked off in READ COMMITTED: one statement takes the entries, a *later* one looks at those
//! projects. The other way round, a write that is committed between the two would be taken without being looked at.

pub(super) mod take;
pub(super) mod triggers;

pub(super) use take::Taken;

/// The table.
pub(super) const TABLE: &str = "sti_change_log";
