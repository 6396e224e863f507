//! `sti-migrate status`

mod drops;
mod report;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common, Exit, Failure, Report as _};
use sti_core::contract::leftovers;
use sti_core::contract::restore::standing;
use sti_core::db::{Access, read_snapshot};
use sti_core::{expand, sync};

use self::report::StatusReport;
pub(crate) use self::report::moment;

/// Show the backend, the tables and migrations that are there, the last run, the drops, and the next step.
///
/// Reads only, on any database, an empty one included. Exit code 1 means that something does not fit.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate status")?;
    let mut connection = target.connect(Access::Read)?;
    // One moment's truth: a drop between two of them would be half of each.
    let (status, standing, left, sync) = read_snapshot(&mut connection, |connection| {
        let status = expand::status(connection)?;
        Ok::<_, Failure>((status, standing(connection)?, leftovers(connection)?, sync::look(connection)?))
    })?;
    StatusReport::new(&target, &status, &standing, &left, &sync).print(common.format)?;
    Ok(if status.misfits.is_empty() { Exit::Done } else { Exit::Negative })
}
