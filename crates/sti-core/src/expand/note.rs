//! What fits, and is worth knowing all the same.

use std::fmt;

/// Something that a person should know about a schema that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A subtype table without a foreign key to the parent: orphans are possible.
    NoForeignKey {
        /// The subtype table.
        table: &'static str,
    },
    /// A column of `projects_project` that is not ours and must be given a value: the library cannot create projects
    /// here. Everything else works.
    RequiredColumn {
        /// The column.
        column: String,
    },
    /// The legacy columns were dropped by `sti-migrate drop-legacy`.
    LegacyDropped,
    /// Recorded versions that look like ours and that this version of the tool does not know.
    UnknownVersions(Vec<String>),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoForeignKey { table } => write!(
                f,
                "{table} has no foreign key to projects_project: rows without a project are possible, sti-verify \
                 finds them"
            ),
            Self::RequiredColumn { column } => write!(
                f,
                "projects_project.{column} is not ours, takes no NULL and has no default: ProjectRepository::create \
                 fails here; backfill and verification do not need it"
            ),
            Self::LegacyDropped => f.write_str("the legacy columns were dropped by sti-migrate drop-legacy"),
            Self::UnknownVersions(versions) => write!(
                f,
                "recorded migrations that begin like ours and are unknown here: {}; a newer sti-migrate ran them, or \
                 the application has versions like these",
                versions.join(", ")
            ),
        }
    }
}
