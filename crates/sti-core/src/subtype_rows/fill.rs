//! Subtype rows for a whole range of projects at once: what a chunk of the backfill does.
//!
//! Lock first, look second: statement 1 locks the parent rows and inserts from the locked values, so no copied
//! value can be stale. Statement 2, with a snapshot of its own, compares the rows that were there before: in READ
//! COMMITTED a statement that had to wait refreshes only the rows that it waited for, not those it joins.

mod postgres;
mod sqlite;

use diesel::sql_types::BigInt;

use crate::db::error::DbError;
use crate::db::{AnyConnection, Backend};
use crate::keyset::KeyRange;
use crate::mapping::{PARENT, any_differs_sql, is_kind_sql};
use crate::models::Kind;
use crate::probe::Probe;

/// What became of the projects of a range, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, diesel::QueryableByName)]
pub(crate) struct Outcome {
    /// Projects that were locked.
    #[diesel(sql_type = BigInt)]
    pub locked: i64,
    /// School projects that got their row.
    #[diesel(sql_type = BigInt)]
    pub created_school: i64,
    /// Self-study projects that got their row.
    #[diesel(sql_type = BigInt)]
    pub created_self_study: i64,
    /// School projects whose row was there, with the same values.
    #[diesel(sql_type = BigInt)]
    pub equal_school: i64,
    /// Self-study projects whose row was there, with the same values.
    #[diesel(sql_type = BigInt)]
    pub equal_self_study: i64,
    /// School projects whose row was there, with other values. It is left as it is.
    #[diesel(sql_type = BigInt)]
    pub conflict_school: i64,
    /// Self-study projects whose row was there, with other values. It is left as it is.
    #[diesel(sql_type = BigInt)]
    pub conflict_self_study: i64,
    /// Projects of a type that has no subtype table.
    #[diesel(sql_type = BigInt)]
    pub unknown: i64,
}

impl Outcome {
    /// Whether every locked project is accounted for exactly once.
    pub(crate) fn adds_up(&self) -> bool {
        self.locked
            == self.created_school
                + self.created_self_study
                + self.equal_school
                + self.equal_self_study
                + self.conflict_school
                + self.conflict_self_study
                + self.unknown
    }
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.locked += other.locked;
        self.created_school += other.created_school;
        self.created_self_study += other.created_self_study;
        self.equal_school += other.equal_school;
        self.equal_self_study += other.equal_self_study;
        self.conflict_school += other.conflict_school;
        self.conflict_self_study += other.conflict_self_study;
        self.unknown += other.unknown;
    }
}

/// SQL: true for a project `p` of a known kind that lacks its row; looks each row up (the limit keeps PostgreSQL from
/// reading the whole table into a hash for a range of a few), so it is for a range.
pub(crate) fn lacks_row_sql(backend: Backend) -> String {
    let [school, self_study] = Kind::ALL.map(|kind| lacks(kind, backend, "LIMIT 1 OFFSET 0"));
    format!("(({school}) OR ({self_study}))")
}

/// SQL: true for a project `p` of `kind` that lacks its row: a join that PostgreSQL runs in parallel, for whole tables.
pub(crate) fn lacks_row_of_sql(kind: Kind, backend: Backend) -> String {
    lacks(kind, backend, "")
}

fn lacks(kind: Kind, backend: Backend, look_up: &str) -> String {
    format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} c WHERE c.project_id = p.id {look_up})",
        is_kind_sql(kind, "p", backend.exact()),
        kind.table()
    )
}

/// Makes the missing subtype rows of the projects in `range` that fulfil `condition` (SQL over the alias `p`), and
/// counts what became of each. Rows that are there are compared and never changed.
///
/// Inside a READ COMMITTED write transaction of the caller. Locks the parent rows in key order.
pub(crate) fn fill(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    probe: &Probe,
) -> Result<Outcome, DbError> {
    match connection {
        AnyConnection::Pg(_) => postgres::fill(connection, range, condition, probe),
        AnyConnection::Sqlite(_) => sqlite::fill(connection, range, condition, probe),
    }
}

#[derive(Default, diesel::QueryableByName)]
struct Compared {
    #[diesel(sql_type = BigInt)]
    equal_school: i64,
    #[diesel(sql_type = BigInt)]
    equal_self_study: i64,
    #[diesel(sql_type = BigInt)]
    conflict_school: i64,
    #[diesel(sql_type = BigInt)]
    conflict_self_study: i64,
}

impl Compared {
    fn into_outcome(self, rest: Outcome) -> Outcome {
        Outcome {
            equal_school: self.equal_school,
            equal_self_study: self.equal_self_study,
            conflict_school: self.conflict_school,
            conflict_self_study: self.conflict_self_study,
            ..rest
        }
    }
}

/// Statement 2: of the given projects, how many agree with their row and how many do not. A project whose row has
/// vanished in between is in neither count, so the counts of the chunk do not add up, and it is rolled back.
fn compare_sql(given: &str, backend: Backend) -> String {
    let count = |kind: Kind, alias: &str, not: &str| {
        format!(
            "count(*) FILTER (WHERE {} AND {alias}.project_id IS NOT NULL AND {not} {})",
            is_kind_sql(kind, "p", backend.exact()),
            any_differs_sql(kind, "p", alias, backend.exact()),
        )
    };
    format!(
        "SELECT {} AS equal_school, {} AS equal_self_study, {} AS conflict_school, {} AS conflict_self_study \
         FROM {given} JOIN {PARENT} p ON p.id = given.id \
         LEFT JOIN {} s ON s.project_id = p.id LEFT JOIN {} t ON t.project_id = p.id",
        count(Kind::School, "s", "NOT"),
        count(Kind::SelfStudy, "t", "NOT"),
        count(Kind::School, "s", ""),
        count(Kind::SelfStudy, "t", ""),
        Kind::School.table(),
        Kind::SelfStudy.table(),
    )
}
