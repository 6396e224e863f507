//! The commands of `sti`: one file each.

mod backfill;
mod baseline;
mod counts;
mod flag_off;
mod gate;
mod pause;
mod quarantine;
mod runs;
mod status;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common};

/// Split a live table into subtype tables without losing a row: backfill, quarantine, counts, and the gate of the rollout.
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

impl sti_cli::Arguments for Arguments {
    fn common(&self) -> &Common {
        &self.common
    }
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Backfill(backfill::Options),
    Pause(pause::PauseOptions),
    Resume(pause::ResumeOptions),
    Cancel(pause::CancelOptions),
    Status(status::Options),
    Runs(runs::Options),
    Counts(counts::Options),
    Baseline(baseline::Options),
    Gate(gate::Options),
    Quarantine(quarantine::Options),
}

impl Command {
    pub(crate) fn run(&self, common: &Common) -> Answer {
        match self {
            Self::Backfill(options) => backfill::run(options, common),
            Self::Status(options) => status::run(options, common),
            Self::Runs(options) => runs::run(options, common),
            Self::Counts(options) => counts::run(options, common),
            Self::Baseline(options) => baseline::run(options, common),
            Self::Gate(options) => gate::run(options, common),
            Self::Pause(options) => pause::pause(options, common),
            Self::Resume(options) => pause::resume(options, common),
            Self::Cancel(options) => pause::cancel(options, common),
            Self::Quarantine(options) => quarantine::run(options, common),
        }
    }
}
