//! The commands of `sti-migrate`: one file each.

mod archive;
mod back_out;
mod drop_legacy;
mod leftovers;
mod misfits;
mod restore_legacy;
mod status;
mod sync;
mod up;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common};

/// Adopt or make the schema of the split, say what state it is in, drop the legacy columns, and bring them back.
///
/// Works on a database that a Django application made as on an empty one, on PostgreSQL and on SQLite.
#[derive(Debug, clap::Parser)]
#[command(name = "sti-migrate", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl sti_cli::Arguments for Arguments {
    fn common(&self) -> &Common {
        &self.common
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Up(up::Options),
    Status(status::Options),
    DropLegacy(drop_legacy::Options),
    RestoreLegacy(restore_legacy::Options),
    Archive(archive::Options),
    BackOut(back_out::Options),
    Sync(sync::Options),
}

impl Command {
    pub(crate) fn run(&self, common: &Common) -> Answer {
        match self {
            Self::Up(options) => up::run(options, common),
            Self::Status(options) => status::run(options, common),
            Self::DropLegacy(options) => drop_legacy::run(options, common),
            Self::RestoreLegacy(options) => restore_legacy::run(options, common),
            Self::Archive(options) => archive::run(options, common),
            Self::BackOut(options) => back_out::run(options, common),
            Self::Sync(options) => sync::run(options, common),
        }
    }
}
