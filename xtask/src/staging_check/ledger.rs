//! The ledger of the backfill, read in our own SQL, and what it must say.

use std::fmt;

use serde_json::Value;

use super::census::Census;
use super::database::Database;
use super::sides::Kind;
use crate::failure::Failure;

/// Projects by outcome; a pair is school, self-study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) locked: i64,
    pub(super) created: [i64; 2],
    pub(super) equal: [i64; 2],
    pub(super) conflict: [i64; 2],
    pub(super) unknown: i64,
}

impl Totals {
    /// What a backfill of the published projects must come to, from what is there now.
    pub(super) fn to_come(census: &Census) -> Self {
        let equal = Kind::BOTH.map(|kind| census.of(&format!("{}_equal", kind.name())));
        let conflict = Kind::BOTH.map(|kind| census.of(&format!("{}_conflict", kind.name())));
        let published = Kind::BOTH.map(|kind| census.of(&format!("{}_published", kind.name())));
        let created = [0, 1].map(|kind| published[kind] - equal[kind] - conflict[kind]);
        Self {
            locked: census.of("published"),
            created,
            equal,
            conflict,
            unknown: census.of("unknown_published"),
        }
    }

    /// What a report says under `/totals`; -1 for what it leaves out.
    pub(super) fn said(json: &Value) -> Self {
        let at = |pointer: String| json.pointer(&pointer).and_then(Value::as_i64).unwrap_or(-1);
        let pair = |name: &str| Kind::BOTH.map(|kind| at(format!("/totals/{name}/{}", kind.name())));
        Self {
            locked: at("/totals/locked".to_owned()),
            created: pair("created"),
            equal: pair("equal"),
            conflict: pair("conflict"),
            unknown: at("/totals/unknown".to_owned()),
        }
    }

    /// The sum over the chunks of the last run that are done.
    pub(super) fn recorded(database: &Database) -> Result<Self, Failure> {
        const COLUMNS: [&str; 8] = [
            "locked",
            "created_school",
            "created_self_study",
            "equal_school",
            "equal_self_study",
            "conflict_school",
            "conflict_self_study",
            "unknown",
        ];
        let sums = COLUMNS.map(|column| format!("COALESCE(sum({column}), 0)"));
        let row =
            database.rows(&sums, &format!("FROM sti_backfill_chunk WHERE state = 'done' AND {LAST_RUN}"))?;
        let sums: Vec<i64> =
            row.into_iter().flatten().map(|sum| sum.and_then(|sum| sum.parse().ok()).unwrap_or(-1)).collect();
        let [locked, cs, cf, es, ef, xs, xf, unknown] = sums.as_slice() else {
            return Err(Failure::new("no sums in sti_backfill_chunk"));
        };
        let [locked, unknown] = [*locked, *unknown];
        Ok(Self { locked, created: [*cs, *cf], equal: [*es, *ef], conflict: [*xs, *xf], unknown })
    }

    pub(super) fn created(&self) -> i64 {
        self.created.iter().sum()
    }

    pub(super) fn conflicts(&self) -> i64 {
        self.conflict.iter().sum()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { locked, created: [cs, cf], equal: [es, ef], conflict: [xs, xf], unknown } = self;
        write!(
            f,
            "locked {locked}: created {cs}+{cf}, equal {es}+{ef}, conflict {xs}+{xf}, unknown type {unknown}"
        )
    }
}

/// Of the run that began last.
pub(super) const LAST_RUN: &str = "run_id = (SELECT max(id) FROM sti_backfill_run)";

/// Chunks of the last run whose count of projects is not the number of published projects in their range of keys, and
/// published projects that are in no chunk or in more than one.
pub(super) fn miscounted(database: &Database) -> Result<(i64, i64), Failure> {
    let inside = "NOT p.is_draft AND p.id <= c.through_id AND (c.after_id IS NULL OR p.id > c.after_id)";
    let first_sweep = format!("c.sweep = 1 AND c.{LAST_RUN}");
    let chunks = database.count(&format!(
        "sti_backfill_chunk c WHERE {first_sweep} AND c.state = 'done' \
         AND c.locked <> (SELECT count(*) FROM projects_project p WHERE {inside})"
    ))?;
    let projects = database.count(&format!(
        "projects_project p WHERE NOT p.is_draft \
         AND 1 <> (SELECT count(*) FROM sti_backfill_chunk c WHERE {first_sweep} AND {inside})"
    ))?;
    Ok((chunks, projects))
}

/// Whether anything is in the ledger at all.
pub(super) fn runs(database: &Database) -> Result<i64, Failure> {
    database.count("sti_backfill_run")
}
