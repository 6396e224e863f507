//! What came of a rehearsal, and of a drop.

use std::time::Duration;

use super::plan::DropPlan;
use crate::db::dialect::LockHolder;

/// Why a rehearsal or a drop was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Gates are shut ([`DropPlan::shut`]); nothing was locked.
    Gates,
    /// Gates are shut that were open before, by what was written while the drop was at work ahead of its locks; the
    /// plan says what was found.
    GatesMeanwhile,
    /// A table was emptied (TRUNCATE) or written anew while the drop was at work, or the change log's triggers were
    /// tampered with: what was compared before says nothing any more.
    Rewritten {
        /// The table that was emptied, as the change log names it: `project`, `school` or `self_study`.
        table: Option<String>,
    },
    /// Writers write faster than their writes are worked off.
    Outrun {
        /// How often it was tried in a row.
        rounds: u32,
        /// Entries in the change log after the last of them; counted up to 100,000.
        left: i64,
    },
    /// The locks were held for as long as allowed, and the drop was not at its end.
    LockTooLong {
        /// How long.
        held: Duration,
        /// What is allowed, [`DropOptions::max_lock`](super::DropOptions::max_lock).
        allowed: Duration,
    },
    /// Gates are shut that were open before the locks were taken; the plan says what was found under them.
    GatesUnderLock,
    /// The digest that was given is not that of the plan of now, nor of one that was made in the last days.
    AnotherPlan {
        /// The digest that was given.
        given: String,
    },
    /// The digest that was given is that of this very plan, made too long ago.
    Expired {
        /// The digest that was given.
        given: String,
        /// How long ago, to the minute.
        age: Duration,
    },
}

/// The locks were not to be had; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The plan of now.
    pub plan: Box<DropPlan>,
    /// How often it was tried.
    pub attempts: u32,
    /// Who held a lock on one of the tables right after the last attempt. Empty on SQLite, which does not say.
    pub holders: Vec<LockHolder>,
    /// What the database said.
    pub reason: String,
    /// Whether it was no lock that was not to be had: another drop or rehearsal is at work, and the holder named.
    pub by_another_drop: bool,
}

/// What came of a rehearsal. In each case nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// It did not go through.
    Refused {
        /// The plan of now, or of the moment under the locks.
        plan: Box<DropPlan>,
        /// Why.
        why: Refusal,
    },
    /// The locks were not to be had.
    Blocked(Blocked),
    /// Everything was done as a drop does it, and rolled back instead of committed.
    Rehearsed {
        /// The plan, as found under the locks.
        plan: Box<DropPlan>,
        /// Rows that were archived.
        archived: i64,
        /// How long the locks were held.
        held: Duration,
        /// In how many attempts.
        attempts: u32,
    },
    /// The connection was lost before it was through.
    NotDone {
        /// What the database said when the connection was lost.
        reason: String,
    },
}

/// How it is known that the drop was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The database answered the COMMIT.
    Commit,
    /// That answer was lost; a fresh connection found the columns gone and the event there.
    Catalogue,
    /// It was made before, with this same digest; this call changed nothing.
    Earlier,
}

/// A drop that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The event's id in `sti_drop_event`, and in `sti_legacy_archive`.
    pub event: i64,
    /// How it is known.
    pub answer: Answer,
    /// The plan, as found under the locks; only where the answer came from COMMIT.
    pub plan: Option<Box<DropPlan>>,
    /// Rows in the archive.
    pub archived: i64,
    /// How long the locks were held; where the answer came from the catalogue, until just before COMMIT.
    pub held: Duration,
    /// In how many attempts; 0 for a drop of an earlier call.
    pub attempts: u32,
}

/// What came of a drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused; nothing was changed.
    Refused {
        /// The plan of now, or of the moment under the locks.
        plan: Box<DropPlan>,
        /// Why.
        why: Refusal,
    },
    /// The locks were not to be had; nothing was changed.
    Blocked(Blocked),
    /// The columns are gone, the archive is there.
    Done(Dropped),
    /// The connection was lost, and nothing was changed: the catalogue says so, or COMMIT was never sent.
    NotDone {
        /// What the database said when the connection was lost.
        reason: String,
    },
    /// The connection was lost at COMMIT, and what the catalogue says is no answer, or it could not be asked.
    Unknown {
        /// The id that the event has if the drop was made.
        event: i64,
        /// What the database said when the connection was lost.
        reason: String,
        /// What kept the catalogue from answering, or what it said.
        seen: String,
    },
}
