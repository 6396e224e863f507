//! `sti counts`

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Exit};
use sti_core::db::Access;

use super::Common;

/// Count the projects and their subtype rows: what the rollout plan's shell snippets print, and why it can lie.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti counts")?;
    let _connection = target.connect(Access::Read)?;
    Ok(Exit::Done)
}
