//! What backing out would do now, what stands in its way, and the digest that confirms exactly that.

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;
use sha2::{Digest as _, Sha256};

use super::BackOutError;
use crate::backfill::{RunState, last_run};
use crate::contract::digest::{VERSION, short};
use crate::contract::restore::state::recorded;
use crate::contract::restore::triggers::{self, Installed};
use crate::db::error::Doing as _;
use crate::db::sql_types::DbUuid;
use crate::db::{AnyConnection, DbError, catalog, dialect, identity, read_snapshot};
use crate::mapping::{LEGACY_COLUMNS, PARENT, any_differs_sql};
use crate::models::{Kind, PerKind, ProjectId};
use crate::sync;
use crate::verify::VerifyError;

/// How many ids of each kind of blocker are named.
pub const SAMPLE: usize = 10;

/// Why rows, or all of it, must not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Legacy columns are missing: the subtype rows are the values.
    ColumnsMissing,
    /// A drop is on record that is not restored and finished: its triggers would take the legacy values along.
    Restoring,
    /// Sync triggers make rows anew from the legacy columns.
    SyncTriggers,
    /// A backfill is at work.
    Backfill,
    /// Rows of this kind hold what the legacy columns do not.
    Differs(Kind),
    /// Rows of this kind have no project.
    Orphans(Kind),
    /// Projects point at rows of this kind.
    Pointers(Kind),
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// What it is.
    pub obstacle: Obstacle,
    /// How many rows; 1 for what is no row.
    pub count: i64,
    /// The first of them, at most [`SAMPLE`]: the projects of the rows, or those that point.
    pub ids: Vec<ProjectId>,
}

/// What backing out would do to the database as one snapshot shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackOutPlan {
    /// Rows of each subtype table: all of them go.
    pub rows: PerKind,
    /// Projects, all of which stay as they are.
    pub projects: i64,
    /// A run of the backfill that was stopped and would be given up.
    pub gives_up_run: Option<i64>,
    /// What stands in the way; none of it: it may be done.
    pub blockers: Vec<Blocker>,
    /// What confirms this plan: 12 hex digits, the same as long as database, version and rows are.
    pub digest: String,
    /// The kinds whose pointer column exists.
    pub(super) pointers: Vec<Kind>,
}

/// The plan. Reads one snapshot and changes nothing.
///
/// # Errors
/// Whatever the database says.
pub fn plan(connection: &mut AnyConnection) -> Result<BackOutPlan, BackOutError> {
    read_snapshot(connection, |connection| {
        for table in [PARENT, Kind::School.table(), Kind::SelfStudy.table(), "sti_backfill_run"] {
            if catalog::relation(connection, table)?.is_none() {
                return Err(VerifyError::NoTable { table }.into());
            }
        }
        let pointers = kinds_with_pointer(connection)?;
        let rows = super::rows(connection)?;
        let mut blockers = of_the_whole(connection)?;
        let columns_are_there = blockers.iter().all(|blocker| blocker.obstacle != Obstacle::ColumnsMissing);
        for kind in Kind::ALL {
            let with_pointer = pointers.contains(&kind);
            blockers.extend(of_rows(
                connection,
                kind,
                &|_| "TRUE".to_owned(),
                columns_are_there,
                with_pointer,
            )?);
        }
        let run = last_run(connection)?.filter(|run| run.state == RunState::Active);
        let gives_up_run = run.map(|run| run.run.0);
        let said = format!(
            "sti back-out\n{}\n{VERSION}\n{} {}\n{gives_up_run:?}\n",
            identity::identity(connection)?,
            rows.school,
            rows.self_study
        );
        let projects = catalog::count(connection, PARENT)?;
        let digest = short(&Sha256::digest(said));
        Ok(BackOutPlan { rows, projects, gives_up_run, blockers, digest, pointers })
    })
}

fn kinds_with_pointer(connection: &mut AnyConnection) -> Result<Vec<Kind>, DbError> {
    let columns = catalog::columns(connection, PARENT)?;
    let exists = |kind: &Kind| columns.iter().any(|column| column.name == kind.pointer());
    Ok(Kind::ALL.into_iter().filter(exists).collect())
}

/// What stands in the way of every row.
pub(super) fn of_the_whole(connection: &mut AnyConnection) -> Result<Vec<Blocker>, DbError> {
    let columns = catalog::columns(connection, PARENT)?;
    let complete = LEGACY_COLUMNS.iter().all(|name| columns.iter().any(|column| column.name == *name));
    let unfinished = recorded(connection)?.iter().any(|event| event.finished_at.is_none());
    let triggers = triggers::installed(connection)? != Installed::No;
    let found = [
        (Obstacle::ColumnsMissing, !complete),
        (Obstacle::Restoring, complete && (unfinished || triggers)),
        (Obstacle::SyncTriggers, sync::look(connection)?.installed != sync::Installed::No),
        (Obstacle::Backfill, backfill_at_work(connection)?),
    ];
    let found = found.into_iter().filter(|(_, found)| *found);
    Ok(found.map(|(obstacle, _)| Blocker { obstacle, count: 1, ids: Vec::new() }).collect())
}

/// Whether a run of the backfill is under way, at work or not.
pub(super) fn backfill_is_active(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let sql = "SELECT count(*) AS count FROM sti_backfill_run WHERE state = 'active'";
    Ok(count(connection, sql, "looking for a run of the backfill")? > 0)
}

/// Whether a process holds a lease that has not run out.
fn backfill_at_work(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let now = dialect::backend(connection).now();
    let sql = format!(
        "SELECT count(*) AS count FROM sti_backfill_chunk c JOIN sti_backfill_run r ON r.id = c.run_id \
         WHERE r.state = 'active' AND c.state = 'leased' AND c.lease_expires_at > {now}"
    );
    Ok(count(connection, &sql, "looking for a backfill that is at work")? > 0)
}

/// What stands in the way of those rows of `kind` that fulfil `condition`, SQL over the alias `r`.
pub(super) fn of_rows(
    connection: &mut AnyConnection,
    kind: Kind,
    chosen: &dyn Fn(&str) -> String,
    columns_are_there: bool,
    with_pointer: bool,
) -> Result<Vec<Blocker>, DbError> {
    let (table, exact) = (kind.table(), dialect::backend(connection).exact());
    // Said of both sides of a join, so that neither is read beyond it.
    let (condition, of_parent) = (chosen("r.project_id"), chosen("p.id"));
    let mut sources = vec![(
        Obstacle::Orphans(kind),
        "r.project_id",
        format!(
            "{table} r WHERE {condition} AND NOT EXISTS \
             (SELECT 1 FROM {PARENT} p WHERE p.id = r.project_id AND {of_parent})"
        ),
    )];
    if columns_are_there {
        let differs = any_differs_sql(kind, "p", "r", exact);
        let from = format!(
            "{table} r JOIN {PARENT} p ON p.id = r.project_id WHERE {condition} AND {of_parent} AND {differs}"
        );
        sources.push((Obstacle::Differs(kind), "r.project_id", from));
    }
    if with_pointer {
        let from =
            format!("{table} r JOIN {PARENT} q ON q.{} = r.project_id WHERE {condition}", kind.pointer());
        sources.push((Obstacle::Pointers(kind), "q.id", from));
    }
    let mut blockers = Vec::new();
    for (obstacle, id, from) in sources {
        let doing = format!("looking for rows of {table} that must stay");
        let count = count(connection, &format!("SELECT count(*) AS count FROM {from}"), &doing)?;
        if count > 0 {
            let ids =
                ids(connection, &format!("SELECT {id} AS id FROM {from} ORDER BY 1 LIMIT {SAMPLE}"), &doing)?;
            blockers.push(Blocker { obstacle, count, ids });
        }
    }
    Ok(blockers)
}

fn count(connection: &mut AnyConnection, sql: &str, doing: &str) -> Result<i64, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let row: Row = diesel::sql_query(sql).get_result(connection).doing(doing)?;
    Ok(row.count)
}

fn ids(connection: &mut AnyConnection, sql: &str, doing: &str) -> Result<Vec<ProjectId>, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = DbUuid)]
        id: ProjectId,
    }
    let rows: Vec<Row> = diesel::sql_query(sql).load(connection).doing(doing)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
