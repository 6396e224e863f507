//! Tries the quarantined projects again, in chunks that go into the ledger like any other.

use std::collections::HashSet;
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Bool, Integer, Text};

use super::retried::{Portion, Retried, Tally};
use super::{Refused, enter, scope_of};
use crate::backfill::careful::{self, Filled};
use crate::backfill::chunk::{self, Entry as LedgerEntry};
use crate::backfill::config::{Owner, StopSignal};
use crate::backfill::dry_run::check_schema;
use crate::backfill::error::BackfillError;
use crate::backfill::ledger::RunId;
use crate::backfill::scope::Scope;
use crate::backfill::size::Sizing;
use crate::backfill::terms::Terms;
use crate::backfill::totals::Totals;
use crate::chunks::{ChunkEvent, Watch};
use crate::db::error::{DbError, Doing as _};
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, Failed, dialect, limited_transaction, read_snapshot};
use crate::keyset::{KeyRange, in_sql};
use crate::mapping::PARENT;
use crate::models::{Kind, PerKind, ProjectId};
use crate::probe::Probe;

/// The sweep of the chunks that retry; the sweeps of a run are counted from 1.
const SWEEP: i32 = 0;

#[derive(diesel::QueryableByName)]
struct Entry {
    #[diesel(sql_type = BigInt)]
    run_id: i64,
    #[diesel(sql_type = DbUuid)]
    project_id: ProjectId,
    #[diesel(sql_type = Text)]
    kind: String,
}

/// Tries every quarantined project again, or only `project`. What can be made now leaves the quarantine; what is
/// refused again stays, with what the database says now.
///
/// Up to 200 projects are locked at a time (FOR NO KEY UPDATE, in key order), in a transaction of their own that also
/// corrects the counts of the run that had put them there. `tell` hears of each; then `stop` is looked at.
///
/// # Errors
/// Whatever the database says; what had been committed stays.
pub fn retry(
    connection: &mut AnyConnection,
    owner: &Owner,
    project: Option<ProjectId>,
    stop: &StopSignal,
    tell: &mut dyn FnMut(&ChunkEvent),
) -> Result<Retried, BackfillError> {
    read_snapshot(connection, check_schema)?;
    let terms = Terms::read(connection, Sizing::default())?;
    let mut tally = Tally::default();
    let mut behind = None;
    let mut watch = Watch::new(stop, tell);
    watch.begun(waiting(connection, project)?);
    loop {
        if watch.is_asked() && there_are_more(connection, project, behind)? {
            return Ok(Retried { stopped: true, ..tally.retried() });
        }
        let done = limited_transaction(connection, terms.limits, terms.reading, |connection| {
            retry_some(connection, terms, owner, project, behind, &tally.held)
        });
        let done = done.map_err(|failed| match failed {
            Failed::Body(error) => error,
            Failed::Begin(source) => DbError { doing: "beginning a retry".to_owned(), source }.into(),
            Failed::Commit(source) => DbError { doing: "committing a retry".to_owned(), source }.into(),
        })?;
        let Some(done) = done else { return Ok(tally.retried()) };
        behind = Some(done.last);
        tally.add(done);
        watch.committed(tally.retried().tried());
    }
}

fn retry_some(
    connection: &mut AnyConnection,
    terms: Terms,
    owner: &Owner,
    project: Option<ProjectId>,
    behind: Option<(RunId, ProjectId)>,
    before: &HashSet<ProjectId>,
) -> Result<Option<Portion>, BackfillError> {
    let entries = entries(connection, project, behind)?;
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(None) };
    let run = RunId(first.run_id);
    let scope = scope_of(connection, run)?;
    let held = hold(connection, scope, &entries)?;
    let (again, anew): (Vec<_>, Vec<_>) = held.iter().partition(|project| before.contains(project));
    let mut filled = fill(connection, &anew)?;
    let totals = Totals::from(&filled);
    let once_more = fill(connection, &again)?;
    filled.outcome += once_more.outcome;
    filled.refused.extend(once_more.refused);
    chunk::refuse_refilling(connection, terms)?;
    leave(connection, run, &entries)?;
    let chunk = record(connection, run, owner, &entries, &filled, last.project_id)?;
    enter(connection, run, chunk, &filled.refused)?;
    let gone = entries.iter().map(|entry| entry.project_id).filter(|project| !held.contains(project));
    let (gone, last) = (gone.collect(), (run, last.project_id));
    Ok(Some(Portion { totals, held, gone, last }))
}

/// Locks those projects of the entries that are there and in scope, in key order.
fn hold(connection: &mut AnyConnection, scope: Scope, entries: &[Entry]) -> Result<Vec<ProjectId>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbUuid)]
        id: ProjectId,
    }
    let lock = dialect::backend(connection).lock_rows();
    let (in_scope, these) =
        (scope.condition_sql(), in_sql("p.id", entries.iter().map(|entry| entry.project_id)));
    let sql = format!("SELECT p.id FROM {PARENT} p WHERE {in_scope} AND {these} ORDER BY p.id {lock}");
    let rows: Vec<Row> =
        diesel::sql_query(sql).load(connection).doing("locking the projects in quarantine")?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Makes the rows of these projects, which are locked, as far as the database lets it.
fn fill(connection: &mut AnyConnection, projects: &[&ProjectId]) -> Result<Filled, BackfillError> {
    let Some(last) = projects.last() else { return Ok(Filled::default()) };
    let range = KeyRange { after: None, through: **last };
    let these = in_sql("p.id", projects.iter().map(|project| **project));
    let filled = careful::fill(connection, &range, &these, &Probe::default())?;
    if !filled.outcome.adds_up() {
        return Err(BackfillError::DoesNotAddUp { number: 0, locked: filled.outcome.locked });
    }
    Ok(filled)
}

/// How many projects there are to be tried.
fn waiting(connection: &mut AnyConnection, project: Option<ProjectId>) -> Result<i64, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        projects: i64,
    }
    let which = which(project, None);
    let sql =
        format!("SELECT count(DISTINCT project_id) AS projects FROM sti_backfill_quarantine WHERE {which}");
    let row: Row =
        diesel::sql_query(sql).get_result(connection).doing("counting the projects in quarantine")?;
    Ok(row.projects)
}

/// Whether there are entries that were not tried.
fn there_are_more(
    connection: &mut AnyConnection,
    project: Option<ProjectId>,
    behind: Option<(RunId, ProjectId)>,
) -> Result<bool, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        more: bool,
    }
    let which = which(project, behind);
    let row: Row = diesel::sql_query(format!(
        "SELECT EXISTS (SELECT 1 FROM sti_backfill_quarantine WHERE {which}) AS more"
    ))
    .get_result(connection)
    .doing("looking for more projects in quarantine")?;
    Ok(row.more)
}

/// SQL: the entries of one project, or of all, behind one.
fn which(project: Option<ProjectId>, behind: Option<(RunId, ProjectId)>) -> String {
    let behind = behind.map_or_else(
        || "1 = 1".to_owned(),
        |(run, id)| format!("(run_id > {run} OR (run_id = {run} AND project_id > '{}'))", id.hex()),
    );
    let only = project.map_or_else(|| "1 = 1".to_owned(), |id| in_sql("project_id", [id]));
    format!("{only} AND {behind}")
}

/// The next entries of one run behind `behind`, locked: another retry waits.
fn entries(
    connection: &mut AnyConnection,
    project: Option<ProjectId>,
    behind: Option<(RunId, ProjectId)>,
) -> Result<Vec<Entry>, DbError> {
    let lock = dialect::backend(connection).lock_rows_for_delete();
    let which = which(project, behind);
    diesel::sql_query(format!(
        "SELECT run_id, project_id, kind FROM sti_backfill_quarantine \
         WHERE {which} AND run_id = (SELECT min(run_id) FROM sti_backfill_quarantine WHERE {which}) \
         ORDER BY project_id LIMIT {} {lock}",
        careful::MOST
    ))
    .load(connection)
    .doing("reading the quarantine")
}

/// Takes entries out; those that are refused again are entered again.
fn leave(connection: &mut AnyConnection, run: RunId, entries: &[Entry]) -> Result<(), DbError> {
    let these = in_sql("project_id", entries.iter().map(|entry| entry.project_id));
    diesel::sql_query(format!("DELETE FROM sti_backfill_quarantine WHERE run_id = $1 AND {these}"))
        .bind::<BigInt, _>(run.0)
        .execute(connection)
        .doing("taking projects out of quarantine")
        .map(drop)
}

/// A chunk whose counts, added to the run's, say where its projects stand now: what left the quarantine is taken from
/// the errors.
fn record(
    connection: &mut AnyConnection,
    run: RunId,
    owner: &Owner,
    entries: &[Entry],
    filled: &Filled,
    through: ProjectId,
) -> Result<i64, BackfillError> {
    #[derive(diesel::QueryableByName)]
    struct Inserted {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let errors = |kind: Kind, refused: &[Refused]| {
        let before = entries.iter().filter(|entry| entry.kind == kind.as_str()).count();
        let now = refused.iter().filter(|refused| refused.kind == kind).count();
        now as i64 - before as i64
    };
    let mut totals = Totals::from(filled);
    totals.error = PerKind {
        school: errors(Kind::School, &filled.refused),
        self_study: errors(Kind::SelfStudy, &filled.refused),
    };
    totals.locked = filled.outcome.locked + totals.error.total();
    let now = dialect::backend(connection).now();
    let inserted: Inserted = diesel::sql_query(format!(
        "INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, lease_expires_at) \
         SELECT $1, $2, COALESCE(max(number), 0) + 1, $3, 'leased', '', $4, {now} \
         FROM sti_backfill_chunk WHERE run_id = $1 AND sweep = $2 RETURNING id"
    ))
    .bind::<BigInt, _>(run.0)
    .bind::<Integer, _>(SWEEP)
    .bind::<DbUuid, _>(through)
    .bind::<Text, _>(owner.to_string())
    .get_result(connection)
    .doing("entering a retry into the ledger")?;
    let entry = LedgerEntry { chunk: inserted.id, number: 0, token: "" };
    chunk::record(connection, entry, &totals, Duration::ZERO)?;
    Ok(inserted.id)
}
