//! One chunk of a repair: lock first, look second, log, write, in one transaction.
//!
//! In READ COMMITTED a statement that waited for a lock sees the new version of the row that it waited for, and the
//! old version of every other row. So the first statement only locks the parents, and what is to be done is decided
//! by a later one, with a snapshot of its own; by then nobody can write to these projects any more.

use std::collections::{BTreeMap, BTreeSet};

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use crate::db::dialect::{self, Limits};
use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, Failed, write_transaction_phased};
use crate::keyset::in_sql;
use crate::mapping::PARENT;
use crate::models::{Kind, ProjectId};
use crate::probe::{Probe, Sabotage, Step};

use super::super::scan::orphans_sql;
use super::super::traits::{Scope, Traits, joined_of_sql, traits_sql};
use super::super::watch::Reading;
use super::change::{Change, ChangeCounts, Direction, needed};
use super::pointers::{self, Pointer};
use super::write::{self, Entry};

/// What the ids of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Projects.
    Projects,
    /// Rows of this kind without a project.
    Orphans(Kind),
}

/// What is the same for every chunk of a repair.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) limits: Limits,
    pub(super) with_pointer: Vec<Kind>,
    pub(super) probe: &'a Probe,
}

/// Why a chunk was rolled back.
#[derive(Debug)]
pub(super) enum Undone {
    Database(DbError),
    /// Other projects point at rows that must go.
    Pointers(Vec<Pointer>),
    /// The legacy columns, which would be copied from, are not filled yet.
    Refilling,
    /// A row changed under the lock.
    Interfered {
        change: Change,
        expected: i64,
        found: i64,
    },
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

type Decided = BTreeMap<(Change, Kind), Vec<ProjectId>>;

/// Repairs those of `ids` that still need it, and commits; gives the changes that were made and the number of ids
/// that needed none.
pub(super) fn run(
    connection: &mut AnyConnection,
    work: Work,
    ids: &[ProjectId],
    job: &Job<'_>,
) -> Result<(ChangeCounts, i64), Failed<Undone>> {
    write_transaction_phased(connection, |connection| {
        dialect::limit_transaction(connection, job.limits).doing("limiting the transaction")?;
        dialect::read_by_index(connection).doing("limiting the transaction")?;
        job.probe.at(Step::Lock);
        if job.probe.sabotage() == Sabotage::None {
            lock(connection, work, ids)?;
            job.probe.at(Step::Look);
        }
        if job.entry.direction == Direction::Legacy && crate::refilling::is_under_way(connection)? {
            return Err(Undone::Refilling);
        }
        let decided = look(connection, work, ids, job)?;
        job.probe.at(Step::Record);
        refuse_pointers(connection, &decided, job)?;
        let logged = log(connection, &decided, job.entry)?;
        job.probe.at(Step::Write);
        let changed = apply(connection, &decided, &logged)?;
        job.probe.at(Step::Commit);
        Ok((changed, settled(&decided, ids)))
    })
}

fn settled(decided: &Decided, ids: &[ProjectId]) -> i64 {
    let needy: BTreeSet<&ProjectId> = decided.values().flatten().collect();
    i64::try_from(ids.len() - needy.len()).unwrap_or(i64::MAX)
}

/// Locks the parents in the order of their ids, then their subtype rows: writers lock in the same order.
fn lock(connection: &mut AnyConnection, work: Work, ids: &[ProjectId]) -> Result<(), DbError> {
    let backend = dialect::backend(connection);
    let mut lock = |table: &str, key: &str, clause: &str| {
        let chosen = in_sql(key, ids.iter().copied());
        diesel::sql_query(format!("SELECT {key} FROM {table} WHERE {chosen} ORDER BY {key} {clause}"))
            .execute(connection)
            .doing(format!("locking {table}"))
    };
    if let Work::Orphans(kind) = work {
        lock(kind.table(), "project_id", backend.lock_rows_for_delete())?;
        return Ok(());
    }
    lock(PARENT, "id", backend.lock_rows())?;
    for kind in Kind::ALL {
        lock(kind.table(), "project_id", backend.lock_rows_for_delete())?;
    }
    Ok(())
}

#[derive(diesel::QueryableByName)]
struct Seen {
    #[diesel(sql_type = DbUuid)]
    id: ProjectId,
    #[diesel(sql_type = BigInt)]
    traits: i64,
}

/// The second look: what each project needs now.
fn look(
    connection: &mut AnyConnection,
    work: Work,
    ids: &[ProjectId],
    job: &Job<'_>,
) -> Result<Decided, DbError> {
    let backend = dialect::backend(connection);
    let sql = match work {
        Work::Projects => format!(
            "SELECT p.id AS id, {} AS traits FROM {} ORDER BY p.id {}",
            traits_sql(Scope::Values, backend),
            joined_of_sql(ids),
            // With the second look taken out, this is the first statement, and the joined rows are the old ones.
            if job.probe.sabotage() == Sabotage::SecondLook { "FOR NO KEY UPDATE OF p" } else { "" },
        ),
        Work::Orphans(kind) => format!(
            "SELECT r.project_id AS id, CAST(0 AS bigint) AS traits FROM {} AND {}",
            orphans_sql(kind, &Reading::unwatched()),
            in_sql("r.project_id", ids.iter().copied())
        ),
    };
    let seen: Vec<Seen> =
        diesel::sql_query(sql).load(connection).doing("looking again at both sides of locked projects")?;
    let mut decided = Decided::new();
    for row in seen {
        let changes = match work {
            Work::Projects => needed(job.entry.direction, Traits::from_bits(row.traits)),
            Work::Orphans(kind) => vec![(Change::DeleteOrphan, kind)],
        };
        for (change, kind) in changes {
            if change == Change::DeleteRow && job.with_pointer.contains(&kind) {
                decided.entry((Change::ClearPointer, kind)).or_default().push(row.id);
            }
            decided.entry((change, kind)).or_default().push(row.id);
        }
    }
    Ok(decided)
}

fn refuse_pointers(connection: &mut AnyConnection, decided: &Decided, job: &Job<'_>) -> Result<(), Undone> {
    let mut found = Vec::new();
    for ((change, kind), ids) in decided {
        if change.removes_row() && job.with_pointer.contains(kind) {
            found.extend(pointers::foreign_at(connection, *kind, ids)?);
        }
    }
    if found.is_empty() { Ok(()) } else { Err(Undone::Pointers(found)) }
}

/// Every before-image comes before every change, so that none shows another change of the same chunk.
fn log(connection: &mut AnyConnection, decided: &Decided, entry: Entry<'_>) -> Result<ChangeCounts, Undone> {
    let mut logged = ChangeCounts::default();
    for ((change, kind), ids) in decided {
        let found = write::log(connection, *change, *kind, ids, entry)?;
        let expected = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        // Not every project has a pointer at its own row.
        if found != expected && *change != Change::ClearPointer {
            return Err(Undone::Interfered { change: *change, expected, found });
        }
        logged.add(*change, *kind, found);
    }
    Ok(logged)
}

fn apply(
    connection: &mut AnyConnection,
    decided: &Decided,
    logged: &ChangeCounts,
) -> Result<ChangeCounts, Undone> {
    let mut changed = ChangeCounts::default();
    for ((change, kind), ids) in decided {
        let found = write::apply(connection, *change, *kind, ids)?;
        let expected = logged.of(*change).of(*kind);
        if found != expected {
            return Err(Undone::Interfered { change: *change, expected, found });
        }
        changed.add(*change, *kind, found);
    }
    Ok(changed)
}
