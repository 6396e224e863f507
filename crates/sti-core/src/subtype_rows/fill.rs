//! Subtype rows for a whole range of projects at once: what a chunk of the backfill does.
//!
//! Lock first, look second: statement 1 locks the parent rows and inserts from the locked values, so no copied
//! value can be stale. Statement 2, with a snapshot of its own, compares the rows that were there before: in READ
//! COMMITTED a statement that had to wait refreshes only the rows that it waited for, not those it joins.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool};

use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, Backend, dialect, write_transaction};
use crate::keyset::KeyRange;
use crate::mapping::{LEGACY_COLUMNS, PARENT, any_differs_sql, is_kind_sql, mapped_list_sql};
use crate::models::{Kind, ProjectId};
use crate::probe::{Probe, Sabotage, Step};

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

/// SQL: true for a project `p` of a known kind that lacks its row.
pub(crate) fn lacks_row_sql(backend: Backend) -> String {
    let [school, self_study] = Kind::ALL.map(|kind| lacks_row_of_sql(kind, backend));
    format!("(({school}) OR ({self_study}))")
}

/// SQL: true for a project `p` of `kind` that lacks its row. Alone, it is a join that PostgreSQL runs in parallel; in
/// [`lacks_row_sql`] it is not.
pub(crate) fn lacks_row_of_sql(kind: Kind, backend: Backend) -> String {
    format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} c WHERE c.project_id = p.id)",
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
        AnyConnection::Pg(_) => fill_postgres(connection, range, condition, probe),
        AnyConnection::Sqlite(_) => fill_sqlite(connection, range, condition, probe),
    }
}

#[derive(Default, diesel::QueryableByName)]
struct Filled {
    #[diesel(embed)]
    outcome: Outcome,
    #[diesel(sql_type = Array<DbUuid>)]
    were_there: Vec<ProjectId>,
}

/// Where no row is there yet, a plain INSERT is a tenth of the chunk cheaper: ON CONFLICT inserts each row on trial. One that
/// comes in between fails it, and everything is done over with ON CONFLICT.
fn fill_postgres(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    probe: &Probe,
) -> Result<Outcome, DbError> {
    let plain = probe.sabotage() == Sabotage::None && !has_rows(connection, range)?;
    probe.at(Step::Lock);
    let made = if plain {
        let plain = write_transaction(connection, |connection| {
            lock_and_insert(connection, range, condition, Existing::Fails, probe)
        });
        plain.map(Some).or_else(|error| if is_unique_violation(&error) { Ok(None) } else { Err(error) })?
    } else {
        None
    };
    let Filled { outcome, were_there } = match made {
        Some(made) => made,
        None => lock_and_insert(connection, range, condition, Existing::Stays, probe)?,
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

/// What a row does that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    /// It stays as it is.
    Stays,
    /// It fails the statement.
    Fails,
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
    diesel::sql_query(fill_sql(range, condition, lock, existing, sabotage))
        .get_result(pg)
        .doing(format!("filling the subtype rows of the projects up to {}", range.through))
}

/// Statement 1 on PostgreSQL: the locking CTE feeds both inserts.
fn fill_sql(range: &KeyRange, condition: &str, lock: &str, existing: Existing, sabotage: Sabotage) -> String {
    let backend = Backend::Postgres;
    let [school, self_study] = Kind::ALL.map(|kind| is_kind_sql(kind, "p", backend.exact()));
    let on_conflict = match existing {
        Existing::Stays => "ON CONFLICT (project_id) DO NOTHING",
        Existing::Fails => "",
    };
    let insert = |kind: Kind, is_kind: &str| {
        format!(
            "INSERT INTO {table} (project_id, {columns}) SELECT p.id, {values} FROM locked p WHERE {is_kind} \
             {on_conflict} RETURNING project_id",
            table = kind.table(),
            columns = kind.columns().join(", "),
            values = mapped_list_sql(kind, "p"),
        )
    };
    // What the second statement is for: compared in here, the subtype tables are those of the old snapshot.
    let (equal, conflict, were_there) = if sabotage == Sabotage::SecondLook {
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
            CASE WHEN {were_there} AND counts.school + counts.self_study > made.school + made.self_study \
            THEN ARRAY(SELECT p.id FROM locked p WHERE {school} OR {self_study} \
                EXCEPT SELECT project_id FROM school EXCEPT SELECT project_id FROM self_study) \
            ELSE '{{}}' END AS were_there \
         FROM counts, made",
        legacy = LEGACY_COLUMNS.map(|column| format!("p.{column}")).join(", "),
        keys = range.contains_sql(),
        insert_school = insert(Kind::School, &school),
        insert_self_study = insert(Kind::SelfStudy, &self_study),
        equal_school = equal[0],
        equal_self_study = equal[1],
        conflict_school = conflict[0],
        conflict_self_study = conflict[1],
    )
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

#[derive(diesel::QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    locked: i64,
    #[diesel(sql_type = BigInt)]
    school: i64,
    #[diesel(sql_type = BigInt)]
    self_study: i64,
}

/// On SQLite the transaction has the whole database, so no statement can see anything else than the one before. What was
/// there is compared before anything is made: afterwards the new rows look the same as those, and a trigger may have
/// changed them. Where nothing was there, as in most chunks of a first sweep, there is nothing to compare.
fn fill_sqlite(
    connection: &mut AnyConnection,
    range: &KeyRange,
    condition: &str,
    probe: &Probe,
) -> Result<Outcome, DbError> {
    let backend = dialect::backend(connection);
    let [is_school, is_self_study] = Kind::ALL.map(|kind| is_kind_sql(kind, "p", backend.exact()));
    let chosen = format!("{} AND {condition}", range.contains_sql());
    probe.at(Step::Lock);
    let Counted { locked, school, self_study } = diesel::sql_query(format!(
        "SELECT count(*) AS locked, count(*) FILTER (WHERE {is_school}) AS school, \
            count(*) FILTER (WHERE {is_self_study}) AS self_study FROM {PARENT} p WHERE {chosen}"
    ))
    .get_result(connection)
    .doing("counting the projects of the range")?;
    let compared = if has_rows(connection, range)? {
        let given = format!("(SELECT p.id FROM {PARENT} p WHERE {chosen}) AS given");
        diesel::sql_query(compare_sql(&given, backend))
            .get_result(connection)
            .doing("comparing the subtype rows that were there")?
    } else {
        Compared::default()
    };
    let mut made = [0_i64; 2];
    for (kind, made) in Kind::ALL.into_iter().zip(&mut made) {
        let rows = diesel::sql_query(format!(
            "INSERT INTO {table} (project_id, {columns}) SELECT p.id, {values} FROM {PARENT} p \
             WHERE {chosen} AND {is_kind} ORDER BY p.id ON CONFLICT (project_id) DO NOTHING",
            table = kind.table(),
            columns = kind.columns().join(", "),
            values = mapped_list_sql(kind, "p"),
            is_kind = is_kind_sql(kind, "p", backend.exact()),
        ))
        .execute(connection)
        .doing(format!("filling {}", kind.table()))?;
        *made = i64::try_from(rows).unwrap_or(i64::MAX);
    }
    probe.at(Step::Look);
    Ok(compared.into_outcome(Outcome {
        locked,
        created_school: made[0],
        created_self_study: made[1],
        unknown: locked - school - self_study,
        ..Outcome::default()
    }))
}

/// Whether there is a subtype row in the range; a look into each primary key.
fn has_rows(connection: &mut AnyConnection, range: &KeyRange) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Found {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    let keys = range.contains_sql();
    let exists = |kind: Kind| {
        format!("EXISTS (SELECT 1 FROM (SELECT project_id AS id FROM {}) p WHERE {keys})", kind.table())
    };
    let Found { found } =
        diesel::sql_query(format!("SELECT {} AS found", Kind::ALL.map(exists).join(" OR ")))
            .get_result(connection)
            .doing("looking for subtype rows in the range")?;
    Ok(found)
}
