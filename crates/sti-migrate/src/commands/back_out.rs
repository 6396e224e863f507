//! `sti-migrate back-out`

mod report;

use sti_cli::answer::EXIT_CODES;
use sti_cli::chunks::watched;
use sti_cli::{Answer, Common, Exit, Failure, Report as _, Target, digest};
use sti_core::contract::back_out::{BackOut, BackOutError, BackOutOptions, execute, plan};
use sti_core::db::Access;

use self::report::{BackOutReport, Stage};

/// Empty the subtype tables before the drop: back to the legacy columns alone.
///
/// Without --execute it shows how many rows would go and what stands in the way, and changes nothing. A row goes only if
/// the legacy columns hold exactly what it holds and no pointer refers to it; that is asked again for each row under the
/// lock under which it is deleted, in chunks. The projects themselves and their legacy columns are not touched.
///
/// Refused after a drop until its restore is finished, while a backfill is at work, beside sync triggers, and while a row
/// holds what the legacy columns do not, has no project, or is pointed at. Set every service to ENABLE_STI=false before
/// (subtype, then true, then false): one in subtype mode shows empty fields where the rows are gone, and one in dual or
/// subtype mode makes rows anew.
///
/// SIGINT or SIGTERM stops it behind the plan or the chunk that is under way, with exit code 3; a new plan goes on from there.
///
/// To undo it: ENABLE_STI=true sti backfill --include-drafts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// Delete the rows. Needs --confirm.
    #[arg(long, requires = "confirm")]
    execute: bool,
    /// The digest that the plan shows. Nothing is done if the plan of now is another one.
    #[arg(long, value_name = "DIGEST", requires = "execute", value_parser = digest::parse)]
    confirm: Option<String>,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti-migrate back-out")?;
    match &options.confirm {
        None => show(common, &target),
        Some(digest) => carry_out(common, &target, digest),
    }
}

fn show(common: &Common, target: &Target) -> Answer {
    let plan = plan(&mut target.connect(Access::Read)?)?;
    BackOutReport::new(target, Stage::Shown(&plan)).print(common.format)?;
    Ok(if plan.blockers.is_empty() { Exit::Done } else { Exit::Negative })
}

fn carry_out(common: &Common, target: &Target, digest: &str) -> Answer {
    let outcome = watched("making the plan of now", "rows deleted", |stop, tell| {
        let how =
            BackOutOptions { confirm: digest.to_owned(), stop: stop.clone(), ..BackOutOptions::default() };
        execute(&mut target.connector(), &how, tell)
    })?;
    let outcome = outcome.map_err(|error| failure(&error))?;
    BackOutReport::new(target, Stage::Done(&outcome)).print(common.format)?;
    Ok(match outcome {
        BackOut::Done(done) if done.is_complete() => Exit::Done,
        BackOut::Stopped(_) => Exit::Stopped,
        BackOut::Done(_) | BackOut::Refused(_) => Exit::Negative,
    })
}

fn failure(error: &BackOutError) -> Failure {
    let exit = match error {
        BackOutError::Unknown { .. } => Exit::Unknown,
        BackOutError::Interfered { .. } => Exit::Stopped,
        BackOutError::Stopped { source, .. } => Exit::of(source.fault()),
        BackOutError::Connect(_) | BackOutError::Verify(_) | BackOutError::Db(_) => Exit::Failed,
    };
    let mut message = error.to_string();
    if let BackOutError::Stopped { holders, .. } = error {
        for holder in holders {
            message = format!("{message}\n{holder}");
        }
    }
    Failure::of(exit, message, error)
}
