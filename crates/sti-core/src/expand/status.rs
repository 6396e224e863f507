//! `sti-migrate status`: what is here, and what comes next.

use super::fit::{self, LegacyColumns};
use super::found::Found;
use super::misfit::Misfit;
use super::next_step::NextStep;
use super::note::Note;
use crate::backfill::{LastRun, last_run};
use crate::db::catalog::Server;
use crate::db::error::DbError;
use crate::db::migrations::{DROP, OURS};
use crate::db::{AnyConnection, Backend, read_snapshot};

/// The state of a database, as of one snapshot.
#[derive(Clone, Debug)]
pub struct Status {
    /// The kind of database.
    pub backend: Backend,
    /// Its version, and the schema in which tables are made.
    pub server: Server,
    /// The three tables, the parent first.
    pub tables: Vec<TableStatus>,
    /// What became of the legacy columns.
    pub legacy: LegacyColumns,
    /// Our migrations, in order; the one that drops the legacy columns only where it is recorded.
    pub migrations: Vec<RecordedMigration>,
    /// How many migrations of somebody else are recorded beside ours.
    pub others: usize,
    /// The tables of our migrations.
    pub own: Vec<OwnTable>,
    /// What does not fit.
    pub misfits: Vec<Misfit>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
    /// The newest run of the backfill, if there was one.
    pub last_run: Option<LastRun>,
    /// What to do next.
    pub next_step: NextStep,
}

/// One of the three tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatus {
    /// Its name.
    pub name: &'static str,
    /// Whether there is anything of this name.
    pub there: bool,
    /// Its columns, in their order.
    pub columns: Vec<String>,
    /// Those of them that are not ours.
    pub left_alone: Vec<String>,
}

/// One of our migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedMigration {
    /// Its version.
    pub version: &'static str,
    /// What it is about.
    pub name: &'static str,
    /// Whether it is recorded as run.
    pub applied: bool,
}

/// A table that one of our migrations makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTable {
    /// Its name.
    pub name: &'static str,
    /// Whether it is there.
    pub there: bool,
}

/// Looks at everything in one read-only snapshot.
///
/// # Errors
/// Whatever the database says.
pub fn status(connection: &mut AnyConnection) -> Result<Status, DbError> {
    read_snapshot(connection, |connection| {
        let found = Found::read(connection)?;
        let ledger = found.has_own("sti_backfill_run") && found.has_own("sti_backfill_chunk");
        let last_run = if ledger { last_run(connection)? } else { None };
        Ok(compose(&found, last_run))
    })
}

fn compose(found: &Found, last_run: Option<LastRun>) -> Status {
    let misfits = fit::misfits(found);
    let legacy = LegacyColumns::of(found);
    let migrated = found.pending().next().is_none();
    let next_step = NextStep::after(misfits.is_empty(), migrated, &legacy, last_run.as_ref());
    let tables = found.tables.iter().map(|table| TableStatus {
        name: table.name,
        there: table.is_there(),
        columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        left_alone: fit::others_columns(table).into_iter().map(|column| column.name.clone()).collect(),
    });
    let dropped = Some(&DROP).filter(|drop| found.is_recorded(drop.version));
    let migrations = OURS.iter().chain(dropped).map(|ours| RecordedMigration {
        version: ours.version,
        name: ours.name,
        applied: found.is_recorded(ours.version),
    });
    Status {
        backend: found.backend,
        server: found.server.clone(),
        tables: tables.collect(),
        migrations: migrations.collect(),
        others: found.others().count(),
        own: found.own.iter().map(|own| OwnTable { name: own.name, there: own.relation.is_some() }).collect(),
        notes: fit::notes(found),
        legacy,
        misfits,
        last_run,
        next_step,
    }
}
