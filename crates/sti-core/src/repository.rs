//! The repository: how an application creates, reads, changes and deletes projects while the table is being split.
//!
//! It keeps both sides level as its [`WriteMode`] says. Three rules hold for every write:
//!
//! - **Lock order.** The parent row is locked first, then its subtype rows; nothing locks the other way.
//! - **Only what is touched.** A patch writes its fields and `updated_at`; an untouched NULL stays NULL.
//! - **The side that is read wins.** In dual mode every write makes the subtype row equal to the legacy columns; in
//!   subtype mode an existing subtype row keeps what the caller did not touch, and a missing one is made from the
//!   legacy columns.

mod call;
mod change;
mod change_type;
mod create;
mod delete;
mod error;
mod facts;
mod parent;
mod read;
mod record;
mod update;
mod write_mode;

use std::sync::Arc;
use std::time::Instant;

pub use change::{
    DetailsPatch, NewDetails, NewProject, ProjectPatch, SchoolPatch, SelfStudyPatch, TypeChange,
};
pub use error::{Referrer, RepositoryError};
pub use read::ListQuery;
pub use record::{Details, ProjectRecord, SchoolDetails, SelfStudyDetails};
pub use write_mode::{InvalidWriteMode, WriteMode};

use self::call::Write;
use self::facts::{Facts, SharedFacts};
use crate::db::AnyConnection;
use crate::models::ProjectId;

/// Creates, reads, changes and deletes projects in one [`WriteMode`].
///
/// It holds no connection: each call takes one. Outside a transaction (one that was begun through diesel: it does not
/// see a `BEGIN` sent as text) a write runs in one of its own (READ COMMITTED
/// on PostgreSQL, `BEGIN IMMEDIATE` on SQLite); inside a host's it runs in a savepoint, so that a call that fails
/// leaves the host's transaction usable. There, PostgreSQL at REPEATABLE READ or above is refused for every write
/// that touches both sides; and a foreign key that is checked at COMMIT fails at the host's:
/// [`RepositoryError::at_commit`] says what that means. On SQLite a host that begins its own transaction should use
/// `BEGIN IMMEDIATE` ([`crate::db::write_transaction`] does): one that has read first cannot write once another has.
///
/// A service in dual or subtype mode survives `sti-migrate drop-legacy`. When a call fails for a reason that could
/// be a vanished column, it is rolled back, and the catalogue is asked: if all five legacy columns are gone and
/// `sti_drop_event` records the drop, the call is run again without them and succeeds. Columns that come back are
/// noticed within 5 s; both sides are then written again, and dual mode goes back to reading the legacy columns once
/// the restore is recorded as done.
///
/// Clones share what they know of the schema; hand one to each thread.
///
/// ```no_run
/// use sti_core::db::sql_types::Integer;
/// use sti_core::db::{Access, DatabaseUrl, connect};
/// use sti_core::repository::{
///     DetailsPatch, ListQuery, NewDetails, NewProject, ProjectPatch, SchoolDetails, SchoolPatch,
/// };
/// use sti_core::{ProjectRepository, WriteMode};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let url = DatabaseUrl::parse("sqlite:projects.db")?;
/// let mut connection = connect(&url, Access::Write, "my-service")?;
/// let mode = match std::env::var("ENABLE_STI") {
///     Ok(text) => text.parse()?,
///     Err(_) => WriteMode::default(),
/// };
/// let projects = ProjectRepository::open(&mut connection, mode)?;
///
/// let details = SchoolDetails { course_name: "Marine biology".into(), ..SchoolDetails::default() };
/// let new = NewProject::draft("Reefs", Integer(1), NewDetails::School(details));
/// let reefs = projects.create(&mut connection, &new)?;
///
/// let patch = ProjectPatch {
///     is_draft: Some(false),
///     details: Some(DetailsPatch::School(SchoolPatch {
///         teacher_name: Some("J. Cousteau".into()),
///         ..SchoolPatch::default()
///     })),
///     ..ProjectPatch::default()
/// };
/// projects.update(&mut connection, reefs.project.id, &patch)?;
///
/// let page = ListQuery { limit: 100, is_draft: Some(false), ..ListQuery::default() };
/// for record in projects.list(&mut connection, &page)? {
///     println!("{}: {:?}", record.project.name, record.details);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProjectRepository {
    mode: WriteMode,
    facts: Arc<SharedFacts>,
}

impl ProjectRepository {
    /// Reads the catalogue and makes a repository that works in `mode`. Takes no locks, writes nothing.
    ///
    /// # Errors
    /// [`RepositoryError::LegacyColumnsGone`]: legacy mode after the drop. [`RepositoryError::SchemaNotReady`]: dual
    /// or subtype mode without the subtype tables or `sti_drop_event`; some legacy columns missing, or all of them
    /// without a record of the drop; legacy mode while a drop is not recorded as restored. Or whatever the database says.
    pub fn open(connection: &mut AnyConnection, mode: WriteMode) -> Result<Self, RepositoryError> {
        let asked_at = (!call::reads_old_snapshot(connection)?).then(Instant::now);
        let facts = Facts::look(connection, mode)?;
        Ok(Self { mode, facts: Arc::new(SharedFacts::new(facts, asked_at)) })
    }

    /// The mode that it was opened with.
    #[must_use]
    pub const fn mode(&self) -> WriteMode {
        self.mode
    }

    /// The same repository, no longer sharing what it knows, with another interval than 5 s between two looks at the
    /// catalogue after a drop.
    #[cfg(feature = "test-support")]
    #[must_use]
    pub fn looking_again_after(&self, interval: std::time::Duration) -> Self {
        Self { mode: self.mode, facts: Arc::new(self.facts.looking_again_after(interval)) }
    }

    /// Creates a project, with its subtype row in dual and subtype mode. `created_at` and `updated_at` are the clock
    /// of this machine.
    ///
    /// # Errors
    /// [`RepositoryError::UnsupportedIsolation`], [`RepositoryError::SchemaNotReady`], or whatever the database says:
    /// a key that is taken, a value too long, an owner who does not exist (at COMMIT).
    pub fn create(
        &self,
        connection: &mut AnyConnection,
        new: &NewProject,
    ) -> Result<ProjectRecord, RepositoryError> {
        self.write(connection, Write::Upsert, |connection, view| create::create(connection, view, new))
    }

    /// Reads a project. One query; a NULL and a missing subtype row read as empty texts.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`], [`RepositoryError::SchemaNotReady`], or whatever the database says.
    pub fn get(
        &self,
        connection: &mut AnyConnection,
        id: ProjectId,
    ) -> Result<ProjectRecord, RepositoryError> {
        self.read(connection, |connection, view| read::one(connection, view, id))
    }

    /// Reads a page of projects in the order of their keys, unknown types and missing subtype rows included. One
    /// query.
    ///
    /// # Errors
    /// [`RepositoryError::SchemaNotReady`], or whatever the database says.
    pub fn list(
        &self,
        connection: &mut AnyConnection,
        query: &ListQuery,
    ) -> Result<Vec<ProjectRecord>, RepositoryError> {
        self.read(connection, |connection, view| read::list(connection, view, query))
    }

    /// Changes the fields that `patch` touches, and `updated_at`. In dual and subtype mode a missing subtype row is
    /// created, whatever the patch touches. Locks the parent row, then the subtype row.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`]; [`RepositoryError::TypeMismatch`] when the patch has fields of another kind;
    /// [`RepositoryError::UnsupportedIsolation`], [`RepositoryError::SchemaNotReady`], or whatever the database says.
    pub fn update(
        &self,
        connection: &mut AnyConnection,
        id: ProjectId,
        patch: &ProjectPatch,
    ) -> Result<ProjectRecord, RepositoryError> {
        self.write(connection, Write::Upsert, |connection, view| update::update(connection, view, id, patch))
    }

    /// Changes the type of a project; to the type that it has, it is an update.
    ///
    /// The old kind's legacy columns become NULL. In dual and subtype mode its subtype row is deleted, the project's
    /// own pointer at it (`school_project_id`, `self_study_project_id`) becomes NULL before, and the new kind's row is
    /// written. Locks the parent row, then the subtype rows.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`]; [`RepositoryError::Referenced`] when another project's pointer, or any foreign
    /// key, holds the row that must go; [`RepositoryError::UnsupportedIsolation`],
    /// [`RepositoryError::SchemaNotReady`], or whatever the database says.
    pub fn change_type(
        &self,
        connection: &mut AnyConnection,
        id: ProjectId,
        change: &TypeChange,
    ) -> Result<ProjectRecord, RepositoryError> {
        self.write(connection, Write::Remove(id), |connection, view| {
            change_type::change_type(connection, view, id, change)
        })
    }

    /// Deletes a project with its subtype rows of both kinds, in every mode. Locks the parent row against everything,
    /// foreign keys included, then the subtype rows.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`]; [`RepositoryError::Referenced`] when something else points at the project or
    /// its subtype rows, also if only COMMIT tells (a host's COMMIT: [`RepositoryError::at_commit`]);
    /// [`RepositoryError::UnsupportedIsolation`], also in legacy mode where subtype tables exist;
    /// [`RepositoryError::SchemaNotReady`], or whatever the database says.
    pub fn delete(&self, connection: &mut AnyConnection, id: ProjectId) -> Result<(), RepositoryError> {
        self.write(connection, Write::Delete(id), |connection, view| delete::delete(connection, view, id))
    }
}
