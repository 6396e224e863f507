//! A chunk on SQLite, where the transaction has the whole database.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::{Compared, Outcome, compare_sql, lacks_row_of_sql};
use crate::db::error::{DbError, Doing as _};
use crate::db::{AnyConnection, dialect};
use crate::keyset::KeyRange;
use crate::mapping::{PARENT, is_kind_sql, mapped_list_sql};
use crate::models::Kind;
use crate::probe::{Probe, Step};

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
pub(super) fn fill(
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
    let has_rows = has_rows(connection, range)?;
    // A row that is there stays; left out by the query and not by ON CONFLICT alone, it is no reason for a constraint that its
    // project's values break to refuse it.
    let is_to_do = |kind: Kind| {
        if has_rows { lacks_row_of_sql(kind, backend) } else { is_kind_sql(kind, "p", backend.exact()) }
    };
    let compared = if has_rows {
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
             WHERE {chosen} AND {is_to_do} ORDER BY p.id ON CONFLICT (project_id) DO NOTHING",
            table = kind.table(),
            columns = kind.columns().join(", "),
            values = mapped_list_sql(kind, "p"),
            is_to_do = is_to_do(kind),
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
