//! Repairing: the plan, and its execution.

mod report;

use sti_cli::chunks::watched;
use sti_cli::{Answer, Exit, Failure, Report as _, Target};
use sti_core::db::Access;
use sti_core::verify::repair::{Execution, RepairError, RepairOptions, execute, plan};

use self::report::RepairReport;
use crate::arguments::{Arguments, RepairArguments};

pub(crate) fn run(arguments: &Arguments, repair: &RepairArguments) -> Answer {
    let target = arguments.common.database.resolve("sti-verify --repair")?;
    match &repair.confirm {
        None => show(arguments, repair, &target),
        Some(digest) => carry_out(arguments, repair, &target, digest),
    }
}

fn show(arguments: &Arguments, repair: &RepairArguments, target: &Target) -> Answer {
    let plan = plan(&mut target.connect(Access::Read)?, repair.direction, arguments.sample)?;
    RepairReport::planned(target, &plan).print(arguments.common.format)?;
    Ok(if plan.pointers.is_empty() { Exit::Done } else { Exit::Negative })
}

fn carry_out(arguments: &Arguments, repair: &RepairArguments, target: &Target, digest: &str) -> Answer {
    let mut connection = target.connect(Access::Write)?;
    let execution = watched("making the plan of now", "changes committed", |stop, tell| {
        let mut options = RepairOptions::new(repair.direction, digest);
        options.sample = arguments.sample;
        options.stop = stop.clone();
        execute(&mut connection, &options, tell)
    })?;
    let execution = execution.map_err(|error| failure(&error))?;
    RepairReport::executed(target, &execution).print(arguments.common.format)?;
    Ok(match execution {
        Execution::Done(repair) if repair.stopped_by.is_empty() => Exit::Done,
        Execution::Stopped(_) => Exit::Stopped,
        Execution::Done(_) | Execution::Refused { .. } => Exit::Negative,
    })
}

fn failure(error: &RepairError) -> Failure {
    let exit = match error {
        RepairError::Unknown { .. } => Exit::Unknown,
        RepairError::Interfered { .. } => Exit::Stopped,
        RepairError::Stopped { source, .. } => Exit::of(source.fault()),
        RepairError::Verify(_) | RepairError::NoLog => Exit::Failed,
    };
    Failure::of(exit, error, error)
}
