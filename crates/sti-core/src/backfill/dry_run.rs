//! The dry run: what a backfill would do, counted exactly, with nothing written.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use super::error::BackfillError;
use super::scope::Scope;
use super::totals::Totals;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, catalog, count_snapshot, dialect};
use crate::expand;
use crate::mapping::{LEGACY_COLUMNS, PARENT, any_differs_sql, is_kind_sql};
use crate::models::Kind;
use crate::subtype_rows::fill::Outcome;

/// The projects a second that a live run is taken to do where none has been measured yet: what a small server with
/// default settings did in the worst of our measurements, so that a night is not planned too short.
const ASSUMED_RATE: f64 = 20_000.0;

/// What a backfill would do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DryRun {
    /// By outcome, as if every project were looked at in this moment.
    pub totals: Totals,
    /// How long the counting took.
    pub took: Duration,
    /// How long a live run would take.
    pub estimate: Duration,
    /// The projects a second that the estimate assumes.
    pub rate: f64,
    /// The rate is that of the chunks that committed in this database; else it is an assumption.
    pub measured: bool,
}

/// Counts what a backfill of `scope` would do: one statement in a read-only transaction, no locks, the same
/// predicates as a chunk's.
///
/// # Errors
/// [`BackfillError`].
pub fn dry_run(connection: &mut AnyConnection, scope: Scope) -> Result<DryRun, BackfillError> {
    count_snapshot(connection, |connection| {
        check_schema(connection)?;
        let begun = Instant::now();
        let totals: Outcome = diesel::sql_query(count_sql(scope, dialect::backend(connection)))
            .get_result(connection)
            .doing("counting what a backfill would do")?;
        let took = begun.elapsed();
        let measured = rate(connection)?;
        let rate = measured.unwrap_or(ASSUMED_RATE);
        let totals = Totals::from(totals);
        let estimate = Duration::from_secs_f64(totals.locked as f64 / rate);
        Ok(DryRun { totals, took, estimate, rate, measured: measured.is_some() })
    })
}

fn count_sql(scope: Scope, backend: Backend) -> String {
    let count = |kind: Kind, alias: &str, what: &str, name: &str| {
        format!(
            "count(*) FILTER (WHERE {} AND {what}) AS {name}_{kind}",
            is_kind_sql(kind, "p", backend.exact())
        )
        .replace("{c}", alias)
    };
    let of = |kind: Kind, alias: &str| {
        let differs = any_differs_sql(kind, "p", alias, backend.exact());
        [
            count(kind, alias, "{c}.project_id IS NULL", "created"),
            count(kind, alias, &format!("{{c}}.project_id IS NOT NULL AND NOT {differs}"), "equal"),
            count(kind, alias, &format!("{{c}}.project_id IS NOT NULL AND {differs}"), "conflict"),
        ]
        .join(", ")
    };
    let [school, self_study] = Kind::ALL.map(|kind| is_kind_sql(kind, "p", backend.exact()));
    format!(
        "SELECT count(*) AS locked, {}, {}, count(*) FILTER (WHERE NOT ({school} OR {self_study})) AS unknown \
         FROM {PARENT} p LEFT JOIN {} s ON s.project_id = p.id LEFT JOIN {} t ON t.project_id = p.id WHERE {}",
        of(Kind::School, "s"),
        of(Kind::SelfStudy, "t"),
        Kind::School.table(),
        Kind::SelfStudy.table(),
        scope.condition_sql(),
    )
}

/// Projects a second of the chunks that committed in this database, if there are enough to go by.
fn rate(connection: &mut AnyConnection) -> Result<Option<f64>, BackfillError> {
    #[derive(diesel::QueryableByName)]
    struct Done {
        #[diesel(sql_type = BigInt)]
        projects: i64,
        #[diesel(sql_type = BigInt)]
        ms: i64,
    }
    let done: Done = diesel::sql_query(
        "SELECT CAST(COALESCE(sum(locked), 0) AS bigint) AS projects, \
                CAST(COALESCE(sum(duration_ms), 0) AS bigint) AS ms \
         FROM sti_backfill_chunk WHERE state = 'done' AND created_school + created_self_study > 0",
    )
    .get_result(connection)
    .doing("reading the rate of earlier runs")?;
    Ok((done.projects >= 1000 && done.ms > 0).then(|| done.projects as f64 * 1000.0 / done.ms as f64))
}

/// Refuses a database that lacks what a backfill needs. All of it in one snapshot, or in the open transaction: columns of
/// before a drop beside its event would look like a restore.
pub(super) fn check_schema(connection: &mut AnyConnection) -> Result<(), BackfillError> {
    let tables = [
        PARENT,
        Kind::School.table(),
        Kind::SelfStudy.table(),
        "sti_backfill_run",
        "sti_backfill_chunk",
        "sti_backfill_control",
        "sti_backfill_wait",
        "sti_backfill_quarantine",
    ];
    for table in tables {
        let columns = catalog::columns(connection, table)?;
        if columns.is_empty() {
            return Err(BackfillError::SchemaNotReady { what: format!("table {table}") });
        }
        if table == PARENT {
            let there = |name: &&str| columns.iter().any(|column| column.name == **name);
            let missing: Vec<&str> = LEGACY_COLUMNS.iter().filter(|name| !there(name)).copied().collect();
            if missing.len() == LEGACY_COLUMNS.len() {
                return Err(BackfillError::LegacyColumnsGone);
            }
            if let Some(column) = missing.first() {
                return Err(BackfillError::SchemaNotReady { what: format!("column {table}.{column}") });
            }
        }
    }
    if crate::refilling::is_under_way(connection)? {
        return Err(BackfillError::Refilling);
    }
    let misfits = expand::misfits(connection)?;
    if misfits.is_empty() { Ok(()) } else { Err(BackfillError::SchemaMisfit(misfits)) }
}
