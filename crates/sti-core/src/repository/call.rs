//! How every call runs: in a transaction of its own or a savepoint of the host's, and once more when the legacy
//! columns have vanished under it.

use std::time::Instant;

use super::ProjectRepository;
use super::error::RepositoryError;
use super::facts::{Facts, Sides};
use super::write_mode::WriteMode;
use crate::db::dialect::{self, frozen_isolation};
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Backend, DbError, Failed, in_transaction, write_transaction_phased};
use crate::models::ProjectId;

/// How often a call is tried: each further try needs a schema that has changed since the last one, so two changes
/// (a drop and a restore) may come in the way of one call.
const TRIES: u32 = 3;

/// What one try of a call knows of the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) facts: Facts,
    pub(super) sides: Sides,
}

/// Why a try stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The try saw that the schema is not the one of its [`View`].
    Stale,
    /// An error of the work itself.
    Failed(RepositoryError),
    /// An error of BEGIN or COMMIT, which no vanished column can cause.
    Final(RepositoryError),
}

impl From<RepositoryError> for Stop {
    fn from(error: RepositoryError) -> Self {
        Self::Failed(error)
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a write is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// It adds and changes rows.
    Upsert,
    /// It also takes a subtype row of this project away.
    Remove(ProjectId),
    /// It takes this project away, with its subtype rows in every mode.
    Delete(ProjectId),
}

impl ProjectRepository {
    /// Runs a read: one statement, in a savepoint if it is inside a host's transaction and names columns that may
    /// vanish.
    pub(super) fn read<T>(
        &self,
        connection: &mut AnyConnection,
        work: impl Fn(&mut AnyConnection, &View) -> Result<T, Stop>,
    ) -> Result<T, RepositoryError> {
        let view = self.view(connection)?;
        self.surviving(connection, view, |connection, view| {
            let open = in_transaction(connection).doing("beginning to read")?;
            if open && view.sides == Sides::BothReadLegacy {
                write_transaction_phased(connection, |connection| work(connection, view)).map_err(stopped)
            } else {
                work(connection, view)
            }
        })
    }

    /// Runs a write in a transaction of its own, or in a savepoint of the host's.
    pub(super) fn write<T>(
        &self,
        connection: &mut AnyConnection,
        write: Write,
        work: impl Fn(&mut AnyConnection, &View) -> Result<T, Stop>,
    ) -> Result<T, RepositoryError> {
        let mut view = self.view(connection)?;
        if matches!(write, Write::Delete(_)) && !view.facts.has_all_tables() {
            // Legacy mode, begun before the subtype tables were made: another service may fill them by now.
            view = self.look(connection)?;
        }
        self.refuse_frozen_isolation(connection, write, &view)?;
        self.surviving(connection, view, |connection, view| {
            write_transaction_phased(connection, |connection| {
                let written = work(connection, view)?;
                self.still_holds(connection, view)?;
                Ok(written)
            })
            .map_err(stopped)
        })
        .map_err(|error| match write {
            Write::Upsert => error,
            Write::Remove(id) | Write::Delete(id) => error.or_referenced(id),
        })
    }

    /// Tries `work`; when it fails and the catalogue, not the error's text, says that the schema has become another
    /// one in which the mode can work, tries it again under the new one.
    fn surviving<T>(
        &self,
        connection: &mut AnyConnection,
        mut view: View,
        work: impl Fn(&mut AnyConnection, &View) -> Result<T, Stop>,
    ) -> Result<T, RepositoryError> {
        let mut tries = 1;
        loop {
            let (error, stale) = match work(connection, &view) {
                Ok(value) => return Ok(value),
                Err(Stop::Final(error)) => return Err(error),
                Err(Stop::Failed(error)) if !self.may_look_again(&error) => return Err(error),
                Err(Stop::Failed(error)) => (error, false),
                Err(Stop::Stale) => (self.restless(), true),
            };
            let fresh = match self.look(connection) {
                Ok(fresh) => fresh,
                // Whatever keeps the catalogue from answering, the first error is the one that explains.
                Err(RepositoryError::Database(_)) => return Err(error),
                Err(not_ready) => return Err(not_ready),
            };
            // What a stale try has seen may have passed before this look: then the first view is right again.
            if tries == TRIES || !stale && fresh.facts == view.facts {
                return Err(error);
            }
            view = fresh;
            tries += 1;
        }
    }

    fn may_look_again(&self, error: &RepositoryError) -> bool {
        self.mode != WriteMode::Legacy && error.could_be_the_schema()
    }

    fn restless(&self) -> RepositoryError {
        RepositoryError::SchemaNotReady {
            mode: self.mode,
            problem: "it changes while the call runs; try again when the drop or the restore is through"
                .into(),
        }
    }

    /// What the shared facts say, after a look at the catalogue if one is due.
    fn view(&self, connection: &mut AnyConnection) -> Result<View, RepositoryError> {
        let (facts, due) = self.facts.last();
        if !due {
            return Ok(View { facts, sides: facts.sides(self.mode) });
        }
        // One that does not fit this snapshot is found out like any other, and then it is looked.
        match self.facts.last_old() {
            Some(facts) if reads_old_snapshot(connection)? => {
                Ok(View { facts, sides: facts.sides(self.mode) })
            }
            _ => self.look(connection),
        }
    }

    /// A write of the subtype row alone that had to wait for a lock may have outlasted the time in which the columns
    /// that are back must be noticed, and the triggers of the restore with it. So its view is asked for again when the
    /// row is written: from here to COMMIT nobody can take the triggers away.
    fn still_holds(&self, connection: &mut AnyConnection, view: &View) -> Result<(), Stop> {
        if view.sides != Sides::SubtypeOnly {
            return Ok(());
        }
        let (facts, due) = self.facts.last();
        // In a host's transaction the view may be of a look that was not for all.
        let holds = facts == view.facts && !due || self.look_for_all(connection)?.facts == view.facts;
        if holds { Ok(()) } else { Err(Stop::Stale) }
    }

    /// Looks before or between the tries of a call. What it finds in an old snapshot is right for this call, and not for the
    /// clones in other transactions.
    fn look(&self, connection: &mut AnyConnection) -> Result<View, RepositoryError> {
        if !reads_old_snapshot(connection)? {
            return self.look_for_all(connection);
        }
        let asked_at = Instant::now();
        let facts = Facts::look(connection, self.mode)?;
        self.facts.set_old(facts, asked_at);
        Ok(View { facts, sides: facts.sides(self.mode) })
    }

    /// Looks where nothing is old, and lets the clones know.
    fn look_for_all(&self, connection: &mut AnyConnection) -> Result<View, RepositoryError> {
        let asked_at = Instant::now();
        let facts = Facts::look(connection, self.mode)?;
        self.facts.set(facts, asked_at);
        Ok(View { facts, sides: facts.sides(self.mode) })
    }

    fn refuse_frozen_isolation(
        &self,
        connection: &mut AnyConnection,
        write: Write,
        view: &View,
    ) -> Result<(), RepositoryError> {
        let both = view.sides != Sides::LegacyOnly
            || matches!(write, Write::Delete(_)) && view.facts.tables().next().is_some();
        if !both || !in_transaction(connection).doing("beginning to write")? {
            return Ok(());
        }
        match frozen_isolation(connection).doing("reading the isolation level")? {
            Some(level) => Err(RepositoryError::UnsupportedIsolation { level }),
            None => Ok(()),
        }
    }
}

/// Whether what it reads may be as it was some time ago: in a host's transaction, on PostgreSQL from REPEATABLE READ on, on
/// SQLite as long as it has not written.
pub(super) fn reads_old_snapshot(connection: &mut AnyConnection) -> Result<bool, RepositoryError> {
    let doing = "looking at the schema";
    Ok(in_transaction(connection).doing(doing)?
        && (dialect::backend(connection) == Backend::Sqlite
            || frozen_isolation(connection).doing(doing)?.is_some()))
}

fn stopped(failed: Failed<Stop>) -> Stop {
    match failed {
        Failed::Body(stop) => stop,
        Failed::Begin(source) => {
            Stop::Final(DbError { doing: "beginning the transaction".to_owned(), source }.into())
        }
        Failed::Commit(source) => {
            Stop::Final(DbError { doing: "committing the transaction".to_owned(), source }.into())
        }
    }
}
