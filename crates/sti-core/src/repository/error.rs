//! Why a repository call failed.

use std::fmt;

use diesel::result::{DatabaseErrorKind, Error};

use super::write_mode::WriteMode;
use crate::db::DbError;
use crate::models::{Kind, ProjectId, ProjectType};

/// Why a call did nothing. Nothing that it had written stays written; the one exception is a connection that was
/// lost at COMMIT, which leaves the outcome open.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is no such project.
    #[error("there is no project {id}")]
    NotFound {
        /// The key that was asked for.
        id: ProjectId,
    },
    /// The patch holds fields of another kind than the project's.
    #[error(
        "project {id} is of type {:?}, the patch is for {expected}: change its type first",
        found.as_str()
    )]
    TypeMismatch {
        /// The project.
        id: ProjectId,
        /// The kind that the patch is for.
        expected: Kind,
        /// The type that the project has.
        found: ProjectType,
    },
    /// Something still points at the project, or at the subtype row that would have to go.
    #[error("{}: {referrer}; take that reference away first", Removed(*id))]
    Referenced {
        /// The project; `None` where only a host's COMMIT told.
        id: Option<ProjectId>,
        /// Who points there.
        referrer: Referrer,
    },
    /// The host's transaction would not see rows that others committed since it began: a change of type there
    /// silently leaves both kinds of row. Nothing was written.
    #[error(
        "the open transaction is at isolation level {level}, where a write to both sides can miss rows: \
         use READ COMMITTED"
    )]
    UnsupportedIsolation {
        /// The level, in PostgreSQL's words.
        level: String,
    },
    /// The schema is not one in which this mode can work.
    #[error("the schema is not ready for {mode} mode: {problem}")]
    SchemaNotReady {
        /// The mode of the repository.
        mode: WriteMode,
        /// What is wrong, and the next step.
        problem: String,
    },
    /// Legacy mode, and the legacy columns have been dropped.
    #[error(
        "the legacy columns of projects_project are gone, and legacy mode reads and writes nothing else: \
         set ENABLE_STI=subtype, or bring them back with `sti-migrate restore-legacy`"
    )]
    LegacyColumnsGone,
    /// Any other error of the database.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Who points at a row that would have to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Referrer {
    /// Other projects, by one of the two pointer columns.
    Projects {
        /// `school_project_id` or `self_study_project_id`.
        column: &'static str,
        /// The first of them, at most ten.
        ids: Vec<ProjectId>,
    },
    /// A foreign key. SQLite tells neither its name nor its table.
    ForeignKey {
        /// The constraint's name.
        constraint: Option<String>,
        /// The table that points.
        table: Option<String>,
    },
}

impl fmt::Display for Referrer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Projects { column, ids } => {
                write!(f, "{column} of ")?;
                for (nth, id) in ids.iter().enumerate() {
                    write!(f, "{}{id}", if nth == 0 { "project " } else { ", " })?;
                }
                f.write_str(" points there")
            }
            Self::ForeignKey { constraint, table } => {
                write!(f, "table {} points there", table.as_deref().unwrap_or("(unknown)"))?;
                match constraint {
                    Some(constraint) => write!(f, " ({constraint})"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The beginning of [`RepositoryError::Referenced`].
struct Removed(Option<ProjectId>);

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "project {id} or its subtype row is still referred to"),
            None => f.write_str("a project or a subtype row is still referred to"),
        }
    }
}

impl RepositoryError {
    /// What an error of a host's own COMMIT means for the repository calls in that transaction.
    ///
    /// Django's foreign keys are checked at COMMIT. In a transaction of its own the repository translates that
    /// itself; in a host's, the delete has long returned when the COMMIT fails with a foreign key violation. This
    /// makes it [`RepositoryError::Referenced`]; a violation of an insert (an owner that does not exist) and every
    /// other error stay [`RepositoryError::Database`]. SQLite does not tell the two violations apart, nor whose
    /// they are.
    #[must_use]
    pub fn at_commit(error: Error) -> Self {
        let error = DbError { doing: "committing the transaction".to_owned(), source: error };
        match foreign_key(&error) {
            Some(referrer) if !is_of_insert(&error) => Self::Referenced { id: None, referrer },
            _ => Self::Database(error),
        }
    }

    /// [`RepositoryError::Referenced`] for a foreign key violation of a call that takes rows of `id` away.
    pub(super) fn or_referenced(self, id: ProjectId) -> Self {
        let Self::Database(error) = self else { return self };
        match foreign_key(&error) {
            Some(referrer) => Self::Referenced { id: Some(id), referrer },
            None => Self::Database(error),
        }
    }

    /// Whether a column that has vanished could have caused it: the backends give no class for that, so every
    /// error without one counts.
    pub(super) fn could_be_the_schema(&self) -> bool {
        matches!(
            self,
            Self::Database(DbError { source: Error::DatabaseError(DatabaseErrorKind::Unknown, _), .. })
        )
    }
}

/// For a host's `write_transaction` around repository calls; the same as [`RepositoryError::at_commit`].
impl From<Error> for RepositoryError {
    fn from(error: Error) -> Self {
        Self::at_commit(error)
    }
}

fn foreign_key(error: &DbError) -> Option<Referrer> {
    let Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, information) = &error.source else {
        return None;
    };
    Some(Referrer::ForeignKey {
        constraint: information.constraint_name().map(str::to_owned),
        table: information.table_name().map(str::to_owned),
    })
}

/// PostgreSQL's words for the violation by the row that refers; for the row referred to it says "update or delete".
fn is_of_insert(error: &DbError) -> bool {
    matches!(&error.source, Error::DatabaseError(_, information)
        if information.message().starts_with("insert or update on table"))
}
