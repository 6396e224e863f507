//! `sti-migrate archive`

mod list;
mod purge;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common, digest};

/// Show the archives that drops have left, or purge one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show every drop on record, with its archive and how far it has been taken back. Reads only.
    #[command(after_help = EXIT_CODES)]
    List,
    Purge(PurgeOptions),
}

/// Delete the archive of a drop that is restored and finished.
///
/// Without --confirm it shows what would go: how many projects, how many of them have been deleted since, and how many
/// hold a value that the legacy columns do not hold any more. That is gone for good then.
///
/// Refused while the legacy columns are gone or not verified: until then the archive is the only copy of what no subtype
/// row holds. There is no other way to purge an archive.
///
/// SIGINT or SIGTERM stops it behind the plan or the chunk that is under way, with exit code 3; a new plan goes on from there.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
struct PurgeOptions {
    /// The drop, as `sti-migrate archive list` numbers them.
    #[arg(long, value_name = "N")]
    event: i64,
    /// Do it. The digest that the plan shows; nothing is done if the plan of now is another one.
    #[arg(long, value_name = "DIGEST", value_parser = digest::parse)]
    confirm: Option<String>,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    match &options.command {
        Command::List => list::run(common),
        Command::Purge(options) => purge::run(options, common),
    }
}

/// A moment as the reports show it.
fn moment(at: sti_core::db::sql_types::Timestamp) -> String {
    at.0.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
