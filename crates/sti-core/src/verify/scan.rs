//! The pass: every project and every subtype row of one snapshot, grouped by traits in the database.
//!
//! One whole-table statement, no ranges of keys: the server's own parallel plan is faster than any split. What it
//! returns is a few hundred groups at most, whatever the size of the table.

use std::collections::BTreeMap;

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use crate::db::error::Doing as _;
use crate::db::{AnyConnection, DbError, catalog, dialect};
use crate::mapping::{LEGACY_COLUMNS, PARENT};
use crate::models::Kind;

use super::error::VerifyError;
use super::traits::{Scope, Traits, joined_sql, traits_sql};
use super::watch::{Reading, Step, Watch};
use crate::db::sql_types::DbUuid;
use crate::models::{PerKind, ProjectId};

/// Every row of one snapshot, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// The traits that occur, and the number of projects that have them.
    pub(super) groups: Vec<(Traits, i64)>,
    /// Rows of each subtype table.
    pub(super) rows: PerKind,
    /// Rows of each subtype table without a project.
    pub(super) orphans: PerKind,
}

#[derive(diesel::QueryableByName)]
struct Group {
    #[diesel(sql_type = BigInt)]
    traits: i64,
    #[diesel(sql_type = BigInt)]
    projects: i64,
}

/// The traits of one project.
#[derive(diesel::QueryableByName)]
struct OfOne {
    #[diesel(sql_type = BigInt)]
    traits: i64,
}

/// Rows between two looks at the time and the signal.
const LOOK: u64 = 1024;

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Refuses a database that the pass cannot read: a table or a column is not there.
pub(super) fn check_schema(connection: &mut AnyConnection, scope: Scope) -> Result<(), VerifyError> {
    let parent = columns_of(connection, PARENT)?;
    let has = |columns: &[String], column: &str| columns.iter().any(|name| name == column);
    for column in ["id", "project_type", "is_draft"] {
        if !has(&parent, column) {
            return Err(VerifyError::NoColumn { table: PARENT, column });
        }
    }
    for kind in Kind::ALL {
        let table = kind.table();
        let columns = columns_of(connection, table)?;
        let needed = ["project_id"].into_iter().chain(kind.columns().iter().copied());
        for column in needed {
            if !has(&columns, column) {
                return Err(VerifyError::NoColumn { table, column });
            }
        }
    }
    if scope == Scope::Structure {
        return Ok(());
    }
    let missing: Vec<&'static str> =
        LEGACY_COLUMNS.into_iter().filter(|column| !has(&parent, column)).collect();
    match missing.first() {
        None => Ok(()),
        Some(_) if missing.len() == LEGACY_COLUMNS.len() => Err(VerifyError::LegacyColumnsGone),
        Some(column) => Err(VerifyError::NoColumn { table: PARENT, column }),
    }
}

fn columns_of(connection: &mut AnyConnection, table: &'static str) -> Result<Vec<String>, VerifyError> {
    let columns = catalog::columns(connection, table)?;
    if columns.is_empty() {
        return Err(VerifyError::NoTable { table });
    }
    Ok(columns.into_iter().map(|column| column.name).collect())
}

/// Runs the pass. To be called inside a snapshot; fails unless it accounts for every row of the snapshot.
///
/// A project is matched with at most one row of each table, or there are more matches than projects. So what a table
/// holds beyond the matches are its orphans; they are looked for, one by one, only where there are any.
pub(super) fn scan(
    connection: &mut AnyConnection,
    scope: Scope,
    reading: &Reading,
    watch: &Watch<'_>,
) -> Result<Scan, VerifyError> {
    check_schema(connection, scope)?;
    watch.enter(connection, Step::Comparing)?;
    let groups = groups(connection, scope, watch)?;
    let mut count = |from: &str| {
        watch.enter(connection, Step::Counting)?;
        Ok::<i64, VerifyError>(count(connection, from)?)
    };
    let rows = per_kind(|kind| count(kind.table()))?;
    let orphans = per_kind(|kind| match rows.of(kind) - matched(&groups, kind) {
        0 => Ok(0),
        _ => count(&orphans_sql(kind, reading)),
    })?;
    let projects = count(PARENT)?;
    let scan = Scan { groups, rows, orphans };
    scan.account_for(projects)?;
    Ok(scan)
}

/// The traits that occur, with their numbers. SQLite would sort every row to group them, which takes longer than to fold
/// them here, where its rows arrive without a way through a wire.
fn groups(
    connection: &mut AnyConnection,
    scope: Scope,
    watch: &Watch<'_>,
) -> Result<Vec<(Traits, i64)>, VerifyError> {
    let doing = "comparing both sides of every project";
    let backend = dialect::backend(connection);
    let (traits, from) = (traits_sql(scope, backend), joined_sql());
    if backend.groups_by_hash() {
        let sql = format!("SELECT {traits} AS traits, count(*) AS projects FROM {from} GROUP BY 1");
        let groups = diesel::sql_query(sql).load::<Group>(connection).doing(doing)?;
        let mut groups: Vec<(Traits, i64)> =
            groups.into_iter().map(|group| (Traits::from_bits(group.traits), group.projects)).collect();
        groups.sort_unstable();
        return Ok(groups);
    }
    let mut groups: BTreeMap<Traits, i64> = BTreeMap::new();
    let mut rows: u64 = 0;
    let sql = format!("SELECT {traits} AS traits FROM {from}");
    dialect::each_row(connection, &sql, doing, |row: OfOne| {
        if rows.is_multiple_of(LOOK) {
            watch.check(Some(doing))?;
        }
        rows += 1;
        *groups.entry(Traits::from_bits(row.traits)).or_default() += 1;
        Ok::<(), VerifyError>(())
    })?;
    Ok(groups.into_iter().collect())
}

fn count(connection: &mut AnyConnection, from: &str) -> Result<i64, DbError> {
    let sql = format!("SELECT count(*) AS count FROM {from}");
    let row: Count = diesel::sql_query(sql).get_result(connection).doing(format!("counting {from}"))?;
    Ok(row.count)
}

fn per_kind<E>(mut count: impl FnMut(Kind) -> Result<i64, E>) -> Result<PerKind, E> {
    Ok(PerKind { school: count(Kind::School)?, self_study: count(Kind::SelfStudy)? })
}

/// SQL: the rows of `kind`'s table without a project; the alias is `r`. Ends in a WHERE clause.
pub(super) fn orphans_sql(kind: Kind, reading: &Reading) -> String {
    let (table, watched) = (kind.table(), reading.and_sql());
    format!("{table} r WHERE NOT EXISTS (SELECT 1 FROM {PARENT} p WHERE p.id = r.project_id){watched}")
}

/// Projects that have a row of `kind`.
fn matched(groups: &[(Traits, i64)], kind: Kind) -> i64 {
    groups.iter().filter(|(traits, _)| traits.has_row(kind)).map(|(_, count)| count).sum()
}

/// A row of [`traits_of_each_sql`].
#[derive(diesel::QueryableByName)]
pub(super) struct WithTraits {
    #[diesel(sql_type = DbUuid)]
    pub(super) id: ProjectId,
    #[diesel(sql_type = BigInt)]
    pub(super) traits: i64,
}

/// SQL: `id` and `traits` of every project, to be followed by a WHERE clause.
pub(super) fn traits_of_each_sql(connection: &AnyConnection, reading: &Reading) -> String {
    let traits = traits_sql(Scope::Values, dialect::backend(connection));
    let (from, watched) = (joined_sql(), reading.where_sql());
    format!("SELECT id, traits FROM (SELECT p.id AS id, {traits} AS traits FROM {from}{watched}) AS t")
}

impl Scan {
    /// Fails unless the groups make up all `projects`, and the rows that were matched together with the orphans
    /// make up each subtype table.
    fn account_for(&self, projects: i64) -> Result<(), VerifyError> {
        let seen = self.groups.iter().map(|(_, count)| count).sum();
        account(PARENT, projects, seen)?;
        for kind in Kind::ALL {
            let found = matched(&self.groups, kind) + self.orphans.of(kind);
            account(kind.table(), self.rows.of(kind), found)?;
        }
        Ok(())
    }
}

/// Fails unless as many rows were found as there are.
pub(super) fn account(table: &'static str, expected: i64, found: i64) -> Result<(), VerifyError> {
    if expected == found { Ok(()) } else { Err(VerifyError::ShortPass { table, expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits: a school project with its school row, and a draft of unknown type with nothing.
    fn sample() -> Scan {
        Scan {
            groups: vec![(Traits::from_bits(0b0_1001), 7), (Traits::from_bits(0b0_0100), 3)],
            rows: PerKind { school: 9, self_study: 0 },
            orphans: PerKind { school: 2, self_study: 0 },
        }
    }

    #[test]
    fn a_pass_that_saw_every_row_is_an_answer() {
        sample().account_for(10).unwrap();
    }

    #[test]
    fn a_pass_that_missed_a_project_is_an_error() {
        let error = sample().account_for(11).unwrap_err();
        insta::assert_snapshot!(error, @"the pass over projects_project saw 10 of 11 rows of its own snapshot, so its answer is worth nothing: look for a damaged index or duplicate keys (REINDEX TABLE projects_project), then run it again");
    }

    #[test]
    fn a_pass_that_missed_a_subtype_row_is_an_error() {
        let mut scan = sample();
        scan.orphans.school = 1;
        let error = scan.account_for(10).unwrap_err();
        assert!(matches!(
            error,
            VerifyError::ShortPass { table: "projects_schoolproject", expected: 9, found: 8 }
        ));
        scan.orphans = PerKind { school: 2, self_study: 1 };
        assert!(matches!(
            scan.account_for(10).unwrap_err(),
            VerifyError::ShortPass { table: "projects_selfstudyproject", expected: 0, found: 1 }
        ));
    }
}
