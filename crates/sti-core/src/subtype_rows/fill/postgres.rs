//! A chunk on PostgreSQL: one statement locks and inserts, a second one compares what was there.

use diesel::prelude::*;
use diesel::sql_types::Array;

use super::{Compared, Outcome, compare_sql};
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, Backend, write_transaction};
use crate::keyset::KeyRange;
use crate::mapping::{LEGACY_COLUMNS, PARENT, any_differs_sql, is_kind_sql, mapped_list_sql};
use crate::models::{Kind, ProjectId};
use crate::probe::{Probe, Sabotage, Step};

#[derive(Default, diesel::QueryableByName)]
struct Filled {
    #[diesel(embed)]
    outcome: Outcome,
    #[diesel(sql_type = Array<DbUuid>)]
    were_there: Vec<ProjectId>,
}

/// How many rows of a kind a chunk leaves out by their key. Where more are there, they are most of what it has to do.
const MOST_KNOWN: i64 = 500;

/// A plain INSERT is a tenth of the chunk cheaper than ON CONFLICT, which inserts each row on trial; so the rows that are there
/// already are left out by their key. One that comes in between fails the statement, and everything is done over with
/// ON CONFLICT; one that goes in between leaves its project without a count, so that the chunk is rolled back and tried again.
pub(super) fn fill(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    probe: &Probe,
) -> Result<Outcome, DbError> {
    let known = if probe.sabotage() == Sabotage::None { known_rows(connection, range)? } else { None };
    probe.at(Step::Lock);
    let made = if let Some(known) = known {
        let plain = write_transaction(connection, |connection| {
            lock_and_insert(connection, range, condition, Existing::LeftOut(known), probe)
        });
        plain.map(Some).or_else(|error| if is_unique_violation(&error) { Ok(None) } else { Err(error) })?
    } else {
        None
    };
    let Filled { outcome, were_there } = match made {
        Some(made) => made,
        None => lock_and_insert(connection, range, condition, Existing::OnConflict, probe)?,
    };
    probe.at(Step::Look);
    if were_there.is_empty() {
        return Ok(outcome);
    }
    let AnyConnection::Pg(pg) = connection else { return Ok(outcome) };
    let compared: Compared = diesel::sql_query(compare_sql("unnest($1) AS given (id)", Backend::Postgres))
        .bind::<Array<DbUuid>, _>(were_there)
        .get_result(pg)
        .doing("comparing the subtype rows that were there")?;
    Ok(compared.into_outcome(outcome))
}

/// The rows that are there before anything is locked, by kind.
#[derive(Debug, diesel::QueryableByName)]
struct KnownRows {
    #[diesel(sql_type = Array<DbUuid>)]
    school: Vec<ProjectId>,
    #[diesel(sql_type = Array<DbUuid>)]
    self_study: Vec<ProjectId>,
}

/// The subtype rows in the range, if they are few; a look into each primary key.
fn known_rows(connection: &mut AnyConnection, range: &KeyRange) -> Result<Option<KnownRows>, DbError> {
    let AnyConnection::Pg(pg) = connection else { return Ok(None) };
    let [school, self_study] = Kind::ALL.map(|kind| {
        format!(
            "ARRAY(SELECT p.id FROM (SELECT project_id AS id FROM {}) p WHERE {} LIMIT {})",
            kind.table(),
            range.contains_sql(),
            MOST_KNOWN + 1
        )
    });
    let known: KnownRows =
        diesel::sql_query(format!("SELECT {school} AS school, {self_study} AS self_study"))
            .get_result(pg)
            .doing("looking for subtype rows in the range")?;
    let are_few = [&known.school, &known.self_study].iter().all(|rows| rows.len() as i64 <= MOST_KNOWN);
    Ok(are_few.then_some(known))
}

/// What is done about a row that is there already.
#[derive(Debug)]
enum Existing {
    /// The database finds it, and leaves it as it is.
    OnConflict,
    /// It is left out by its key. Any other one fails the statement.
    LeftOut(KnownRows),
}

fn is_unique_violation(error: &DbError) -> bool {
    use diesel::result::{DatabaseErrorKind, Error};
    matches!(error.source, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
}

fn lock_and_insert(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    existing: Existing,
    probe: &Probe,
) -> Result<Filled, DbError> {
    let AnyConnection::Pg(pg) = connection else { return Ok(Filled::default()) };
    let sabotage = probe.sabotage();
    let lock = if sabotage == Sabotage::Lock { "" } else { Backend::Postgres.lock_rows() };
    let query = diesel::sql_query(fill_sql(range, condition, lock, &existing, sabotage));
    let filled = match existing {
        Existing::OnConflict => query.get_result(pg),
        Existing::LeftOut(KnownRows { school, self_study }) => {
            query.bind::<Array<DbUuid>, _>(school).bind::<Array<DbUuid>, _>(self_study).get_result(pg)
        }
    };
    filled.doing(format!("filling the subtype rows of the projects up to {}", range.through))
}

/// Statement 1 on PostgreSQL: the locking CTE feeds both inserts.
fn fill_sql(
    range: &KeyRange,
    condition: &str,
    lock: &str,
    existing: &Existing,
    sabotage: Sabotage,
) -> String {
    let backend = Backend::Postgres;
    let [school, self_study] = Kind::ALL.map(|kind| is_kind_sql(kind, "p", backend.exact()));
    // The rows that are there are those that were not made, or those that were known.
    let known = |array: &str| format!("p.id IN (SELECT unnest({array}))");
    let (on_conflict, [known_school, known_self_study], were_there) = match existing {
        Existing::OnConflict => (
            "ON CONFLICT (project_id) DO NOTHING",
            ["", ""].map(str::to_owned),
            format!(
                "SELECT p.id FROM locked p WHERE {school} OR {self_study} \
                 EXCEPT SELECT project_id FROM school EXCEPT SELECT project_id FROM self_study"
            ),
        ),
        Existing::LeftOut(_) => (
            "",
            ["$1", "$2"].map(|array| format!("AND NOT {}", known(array))),
            format!(
                "SELECT p.id FROM locked p WHERE {school} AND {} OR {self_study} AND {}",
                known("$1"),
                known("$2")
            ),
        ),
    };
    let insert = |kind: Kind, is_kind: &str, but: &str| {
        format!(
            "INSERT INTO {table} (project_id, {columns}) SELECT p.id, {values} FROM locked p \
             WHERE {is_kind} {but} {on_conflict} RETURNING project_id",
            table = kind.table(),
            columns = kind.columns().join(", "),
            values = mapped_list_sql(kind, "p"),
        )
    };
    // What the second statement is for: compared in here, the subtype tables are those of the old snapshot.
    let (equal, conflict, second_look) = if sabotage == Sabotage::SecondLook {
        let count = |kind: Kind, differs: &str| {
            format!(
                "(SELECT count(*) FROM locked p JOIN {} c ON c.project_id = p.id WHERE {} AND {differs} {})",
                kind.table(),
                is_kind_sql(kind, "p", backend.exact()),
                any_differs_sql(kind, "p", "c", backend.exact()),
            )
        };
        (Kind::ALL.map(|kind| count(kind, "NOT")), Kind::ALL.map(|kind| count(kind, "")), "false")
    } else {
        (["0", "0"].map(str::to_owned), ["0", "0"].map(str::to_owned), "true")
    };
    format!(
        "WITH locked AS MATERIALIZED ( \
            SELECT p.id, p.project_type, {legacy} FROM {PARENT} p WHERE {keys} AND {condition} ORDER BY p.id {lock}), \
         school AS ({insert_school}), \
         self_study AS ({insert_self_study}), \
         counts AS (SELECT count(*) AS locked, count(*) FILTER (WHERE {school}) AS school, \
            count(*) FILTER (WHERE {self_study}) AS self_study FROM locked p), \
         made AS (SELECT (SELECT count(*) FROM school) AS school, (SELECT count(*) FROM self_study) AS self_study) \
         SELECT counts.locked, made.school AS created_school, made.self_study AS created_self_study, \
            {equal_school}::bigint AS equal_school, {equal_self_study}::bigint AS equal_self_study, \
            {conflict_school}::bigint AS conflict_school, {conflict_self_study}::bigint AS conflict_self_study, \
            counts.locked - counts.school - counts.self_study AS unknown, \
            CASE WHEN {second_look} AND counts.school + counts.self_study > made.school + made.self_study \
            THEN ARRAY({were_there}) ELSE '{{}}' END AS were_there \
         FROM counts, made",
        legacy = LEGACY_COLUMNS.map(|column| format!("p.{column}")).join(", "),
        keys = range.contains_sql(),
        insert_school = insert(Kind::School, &school, &known_school),
        insert_self_study = insert(Kind::SelfStudy, &self_study, &known_self_study),
        equal_school = equal[0],
        equal_self_study = equal[1],
        conflict_school = conflict[0],
        conflict_self_study = conflict[1],
    )
}
