//! `sti-migrate up`

mod report;

use std::num::NonZeroU32;

use sti_cli::answer::EXIT_CODES;
use sti_cli::{Answer, Common, Exit, Failure, Report as _, Target, retries};
use sti_core::contract::{self, DropOptions};
use sti_core::db::{Access, AnyConnection, Backend};
use sti_core::expand::{self, UpError, UpOptions, UpReport};
use sti_core::sync;

use self::report::{Refusal, Report};
use super::leftovers;

/// Adopt the application's tables where they are, make those that are missing, and the tools' own.
///
/// First it looks: tables that are there must have the columns that the tools need, with types and nullability that
/// fit. What does not fit is listed, every part of it, and nothing is changed. What fits is taken as it is: no column,
/// index, constraint or privilege of a table that is there is touched. All that is made is made in one transaction.
///
/// On a live PostgreSQL database: a missing subtype table needs a lock on projects_project for its foreign key. It is
/// waited for no longer than 0.3 s (writers queue behind it as long), then given up and tried again after a rest.
///
/// The migrations are diesel's, recorded in __diesel_schema_migrations. An application may keep its own there: ours
/// begin with ten zeros and sort before them, and neither side's pending migrations change the other's.
///
/// It also takes away what a drop of the legacy columns has left that was killed: `sti-migrate status` shows it.
///
/// To undo it: the tools' own tables (sti_*) may be dropped together with their versions in
/// __diesel_schema_migrations, but only while the legacy columns are there, no restore is unfinished and no sync triggers
/// are installed: after a drop they hold the only copy of what no subtype row holds. Tables of the application stay.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// Show what would be done, in a read-only transaction; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Make the SQLite file if it is not there.
    #[arg(long, conflicts_with = "dry_run")]
    create: bool,
    /// How often to try to get the locks.
    #[arg(long, value_name = "N", default_value_t = default_attempts())]
    attempts: NonZeroU32,
}

fn default_attempts() -> NonZeroU32 {
    NonZeroU32::new(UpOptions::default().attempts).unwrap_or(NonZeroU32::MIN)
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate up")?;
    if options.create && target.url.backend() == Backend::Postgres {
        return Err(Failure::failed(
            "--create makes SQLite files; make a PostgreSQL database with  createdb  and leave the flag out",
        ));
    }
    if options.dry_run { dry_run(common, &target) } else { live(options, common, &target) }
}

fn dry_run(common: &Common, target: &Target) -> Answer {
    let mut connection = target.connect(Access::Read)?;
    let plan = expand::plan(&mut connection)?;
    if !plan.misfits.is_empty() {
        return refuse(common, target, &plan.misfits);
    }
    let exit = if plan.obstacles.is_empty() { Exit::Done } else { Exit::Failed };
    let sync = sync::look(&mut connection)?;
    let left = contract::leftovers(&mut connection)?;
    // A drop that is at work takes them away itself.
    let left = if left.at_work() { Vec::new() } else { leftovers::lines(&left) };
    Report::new(target, &UpReport::dry(plan), &sync, &left).print(common.format)?;
    Ok(exit)
}

fn live(options: &Options, common: &Common, target: &Target) -> Answer {
    let access = if options.create { Access::Create } else { Access::Write };
    let mut connection = target.connect(access)?;
    let up = UpOptions { attempts: options.attempts.get(), ..UpOptions::default() };
    match expand::up(&mut connection, up, &mut retries::tell) {
        Ok(report) => {
            let taken_away = clear_leftovers(&mut connection, options.attempts.get())?;
            let sync = sync::look(&mut connection)?;
            Report::new(target, &report, &sync, &taken_away).print(common.format)?;
            Ok(Exit::Done)
        }
        Err(UpError::Refused(misfits)) => refuse(common, target, &misfits),
        Err(error @ UpError::Locked { .. }) => {
            Err(Failure::of(Exit::Stopped, format_args!("stopped: {error}"), &error))
        }
        Err(error @ UpError::Unknown(_)) => Err(Failure::of(Exit::Unknown, &error, &error)),
        Err(error) => Err(error.into()),
    }
}

/// What a drop has left that was killed: whoever gives up on dropping has to get rid of it, too. Gives what is taken
/// away, a line for each thing.
fn clear_leftovers(connection: &mut AnyConnection, attempts: u32) -> Result<Vec<String>, Failure> {
    let left = contract::leftovers(connection)?;
    if left.is_empty() || left.at_work() {
        return Ok(Vec::new());
    }
    let mut how = DropOptions::default();
    how.attempts = attempts;
    contract::clear_leftovers(connection, &how, &mut retries::tell).map_err(|error| {
        let message = format_args!(
            "stopped: what a drop that was not made has left could not all be taken away: {error}"
        );
        Failure::of(Exit::Stopped, message, &error)
    })?;
    // Another drop may have begun meanwhile, and what is there now is its own.
    let now = leftovers::lines(&contract::leftovers(connection)?);
    Ok(leftovers::lines(&left).into_iter().filter(|line| !now.contains(line)).collect())
}

fn refuse(common: &Common, target: &Target, misfits: &[expand::Misfit]) -> Answer {
    Refusal::new(target, misfits).print(common.format)?;
    Ok(Exit::Negative)
}
