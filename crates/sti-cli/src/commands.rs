//! The commands of `sti`: one file each.

mod backfill;
mod counts;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, DatabaseArgs, Format};

/// Split a live table into subtype tables without losing a row: backfill and counts.
///
/// The rollout: `sti-migrate up`, ENABLE_STI=true in every service, `sti backfill`, `sti-verify`,
/// ENABLE_STI=subtype.
#[derive(Debug, clap::Parser)]
#[command(name = "sti", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// How the report is written to standard output. Everything else goes to standard error.
    #[arg(long, global = true, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Backfill(backfill::Options),
    Counts(counts::Options),
}

impl Command {
    pub(crate) fn run(&self, common: &Common) -> Answer {
        match self {
            Self::Backfill(options) => backfill::run(options, common),
            Self::Counts(options) => counts::run(options, common),
        }
    }
}
