//! `sti quarantine`

mod report;

use sti_cli::answer::EXIT_CODES;
use sti_cli::chunks::watched;
use sti_cli::{Answer, Common, Exit, Failure, Report as _, Target, flag};
use sti_core::backfill::{Owner, quarantine, retry};
use sti_core::db::Access;
use sti_core::models::ProjectId;
use sti_core::repository::WriteMode;

use self::report::{ListReport, RetryReport};
use super::flag_off;

/// Projects whose row the database refused: list them, try them again.
///
/// A backfill goes on without such a project, counts it as an error and keeps what the database said. Mend the value or
/// the rule, then retry. The messages are the database's own: the detail in which PostgreSQL quotes the row is left
/// out, so a value is in them only if the message itself holds it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Retry(Retry),
}

/// List the projects in quarantine, with what the database said. Exit code 1 when there are any.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
struct List {
    /// How many projects to list at most; the counts are of all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

/// Try the projects in quarantine again; what can be made now leaves it. Exit code 1 when some are still refused.
///
/// What needs no row by now leaves it, too: a project that is deleted, a draft that its run does not cover, or of an
/// unknown type.
/// Up to 200 projects are locked at a time, each time in one transaction with the ledger's counts. Works while a
/// backfill runs. SIGINT or SIGTERM stops it behind those, with exit code 3; the same command tries
/// all that are left.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
struct Retry {
    /// Only this project. Exit code 1 when it is not in quarantine.
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
    /// Run although ENABLE_STI is off here: for a service that is stopped, so that nothing writes meanwhile.
    #[arg(long)]
    allow_flag_off: bool,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    match &options.command {
        Command::List(list) => {
            let target = common.database.resolve("sti quarantine list")?;
            let found = quarantine(&mut target.connect(Access::Read)?, list.limit)?;
            ListReport::new(&target, &found).print(common.format)?;
            Ok(if found.total() > 0 { Exit::Negative } else { Exit::Done })
        }
        Command::Retry(arguments) => {
            let target = common.database.resolve("sti quarantine retry")?;
            if flag::write_mode()? != WriteMode::Legacy {
                return try_again(arguments, common, &target);
            }
            let meanwhile = flag_off::refuse(&target, arguments.allow_flag_off, "sti quarantine retry")?;
            Ok(meanwhile.judge(&target, try_again(arguments, common, &target)?))
        }
    }
}

fn try_again(arguments: &Retry, common: &Common, target: &Target) -> Answer {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let mut connection = target.connect(Access::Write)?;
    let owner = Owner::this_process(&host);
    let retried = watched("reading the quarantine", "projects tried", |stop, tell| {
        retry(&mut connection, &owner, arguments.project, stop, tell)
    })?;
    let retried = retried.map_err(|error| match error {
        error if error.is_resumable() => Failure::of(
            Exit::Stopped,
            format_args!("stopped: {error}\nWhat was made before is committed; try again"),
            &error,
        ),
        error => Failure::from(error),
    })?;
    let report = RetryReport::new(target, arguments.project, &retried);
    report.print(common.format)?;
    Ok(report.exit())
}
