//! What `up` would do here, and what keeps it from it.

use super::fit::{self, LegacyColumns};
use super::found::Found;
use super::misfit::Misfit;
use super::note::Note;
use super::widen::{Widening, widenings};
use crate::db::catalog::Server;
use crate::db::dialect::{self, Obstacle};
use crate::db::error::{DbError, Doing as _};
use crate::db::migrations::{OurMigration, PROJECTS, RECORD};
use crate::db::{AnyConnection, Backend, read_snapshot};
use crate::mapping::PARENT;

/// What becomes of one of the three tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableAction {
    /// It is missing and is made.
    Create,
    /// It is there, fits, and is taken as it is.
    Adopt,
    /// It was adopted or made before.
    Keep,
}

/// One of the three tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePlan {
    /// Its name.
    pub name: &'static str,
    /// What becomes of it.
    pub action: TableAction,
    /// Its columns that are not ours, and stay as they are.
    pub left_alone: Vec<String>,
}

/// What `up` would do, as the catalogue says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The kind of database.
    pub backend: Backend,
    /// Its version, and the schema in which tables are made.
    pub server: Server,
    /// The three tables, the parent first.
    pub tables: Vec<TablePlan>,
    /// Our migrations that are to run, in order.
    pub pending: Vec<OurMigration>,
    /// Columns of tables that are made, which get the width of a legacy column that is wider than ours.
    pub widened: Vec<Widening>,
    /// What became of the legacy columns.
    pub legacy: LegacyColumns,
    /// How many migrations of somebody else are recorded beside ours.
    pub others: usize,
    /// What does not fit. Nothing is done while there is anything.
    pub misfits: Vec<Misfit>,
    /// What this session lacks to do it. Empty when nothing is to be done.
    pub obstacles: Vec<Obstacle>,
    /// What is worth knowing.
    pub notes: Vec<Note>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn of(found: &Found) -> Self {
        let tables = found.tables.iter().map(|table| TablePlan {
            name: table.name,
            action: match (table.is_there(), found.is_recorded(PROJECTS)) {
                (false, _) => TableAction::Create,
                (true, false) => TableAction::Adopt,
                (true, true) => TableAction::Keep,
            },
            left_alone: fit::others_columns(table).into_iter().map(|column| column.name.clone()).collect(),
        });
        Self {
            backend: found.backend,
            server: found.server.clone(),
            tables: tables.collect(),
            pending: found.pending().copied().collect(),
            widened: widenings(found),
            legacy: LegacyColumns::of(found),
            others: found.others().count(),
            misfits: fit::misfits(found),
            obstacles: Vec::new(),
            notes: fit::notes(found),
        }
    }
}

/// Looks, in a read-only snapshot, and changes nothing. Takes no lock on a table.
///
/// # Errors
/// Whatever the database says.
pub fn plan(connection: &mut AnyConnection) -> Result<Plan, DbError> {
    read_snapshot(connection, look)
}

/// What of the schema does not fit, for a command that is about to use it. Takes no lock on a table.
///
/// # Errors
/// Whatever the database says.
pub fn misfits(connection: &mut AnyConnection) -> Result<Vec<Misfit>, DbError> {
    Ok(fit::misfits(&Found::read(connection)?))
}

/// [`plan`] in the transaction that is open.
pub(crate) fn look(connection: &mut AnyConnection) -> Result<Plan, DbError> {
    let found = Found::read(connection)?;
    let mut plan = Plan::of(&found);
    if !plan.is_done() {
        let mut needed = Vec::new();
        let creates = |plan: &TablePlan| plan.name != PARENT && plan.action == TableAction::Create;
        if found.parent().is_there() && plan.tables.iter().any(creates) {
            needed.push(("REFERENCES", PARENT));
        }
        if found.record.is_some() {
            needed.push(("INSERT", RECORD));
        }
        plan.obstacles = dialect::obstacles(connection, &needed).doing("asking what this role may do")?;
    }
    Ok(plan)
}
