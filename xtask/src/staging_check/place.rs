//! Where the walk goes: on a database of our own making, on an empty one, or on a staging copy.

mod copy;
mod scratch;

use std::fs;
use std::path::Path;

use sti_core::test_support::postgres::Server;

use super::Options;
use super::database::Database;
use crate::failure::Failure;
use crate::test::server::start_own;

/// A database that the walk may use.
pub(super) struct Place {
    database: Database,
    /// Real rows: nothing is made up, nothing is planted, nothing is broken on purpose.
    real: bool,
    /// Whether the legacy columns may go.
    may_drop: bool,
    /// What the walk is about to do to it.
    pub(super) words: String,
    /// Ends with the walk.
    _server: Option<Server>,
}

impl Place {
    /// Finds or makes the database that the options name; nothing is written to one that may not be used.
    pub(super) fn of(options: &Options, folder: &Path) -> Result<Self, Failure> {
        if let Some(url) = &options.database_url {
            return Self::staging_copy(url, options.allow_destructive);
        }
        if let Some(url) = &options.scratch_url {
            let database = Database::new(url.clone())?;
            let emptied = scratch::take(&database)?;
            let words = if emptied {
                "the database of an earlier walk, which was emptied, and which the walk fills with a sample"
            } else {
                "an empty database, which the walk fills with a sample"
            };
            return Ok(Self::ours(database, None, words));
        }
        if options.postgres {
            let server = start_own()?;
            let database = Database::new(server.url("postgres"))?;
            return Ok(Self::ours(database, Some(server), "a server of our own, gone when the walk is over"));
        }
        let file = folder.join("staging-check.db");
        let database = Database::new(format!("sqlite:{}", file.display()))?;
        scratch::take(&database)?;
        Ok(Self::ours(
            database,
            None,
            "a file of its own, which the walk fills with a sample and leaves for a look",
        ))
    }

    fn ours(database: Database, server: Option<Server>, words: &str) -> Self {
        Self { database, real: false, may_drop: true, words: words.to_owned(), _server: server }
    }

    fn staging_copy(url: &str, destructive: bool) -> Result<Self, Failure> {
        let database = Database::new(url.to_owned())?;
        copy::check(&database)?;
        let end = if destructive {
            "drop the legacy columns, restore them, and take the rollout back to ENABLE_STI=false"
        } else {
            "rehearse the drop and roll it back (nothing is dropped without --allow-destructive)"
        };
        let words = format!(
            "a staging copy with real rows. The walk will count and look first; then make the tools' own tables, and \
             the subtype tables where they are missing, take away what a drop that was killed has left behind, kill and \
             resume a backfill, add the subtype rows that are missing, make rows that differ agree with the legacy columns, \
             delete rows of the wrong kind and rows without a project, and set pointers at those to NULL \
             (all as it was: in sti_repair_log), add and delete a few projects of its own, and {end}. \
             Nobody else may write to it meanwhile, or figures will differ"
        );
        Ok(Self { database, real: true, may_drop: destructive, words, _server: None })
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn may_drop(&self) -> bool {
        self.may_drop
    }

    pub(super) fn is_real(&self) -> bool {
        self.real
    }
}

/// An empty file is a database, in the journal mode that Django leaves it in; sti-core would make one in another.
fn make_empty(file: &Path) -> Result<(), Failure> {
    fs::write(file, b"").map_err(Failure::during(format!("make {}", file.display())))
}
