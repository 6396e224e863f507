//! Verifying: the report, and the file of ids.

mod report;
mod words;

use std::io::IsTerminal as _;
use std::time::Duration;

use sti_cli::signals::Listener;
use sti_cli::stderr::say;
use sti_cli::steps::{ASKED, Steps};
use sti_cli::{Answer, Exit, Failure, Report as _, number};
use sti_core::backfill::StopSignal;
use sti_core::db::Access;
use sti_core::sync;
use sti_core::verify::{FindingSink, Step, VerifyError, VerifyOptions, verify};

use self::report::CheckReport;
use crate::arguments::Arguments;
use crate::ids_out::IdsOut;

pub(crate) fn run(arguments: &Arguments) -> Answer {
    let target = arguments.common.database.resolve("sti-verify")?;
    let stop = StopSignal::default();
    let _listener = Listener::start(&stop, Exit::Stopped)?;
    let mut connection = target.connect(Access::Read)?;
    let mut ids_out = arguments.ids_out.as_deref().map(IdsOut::create).transpose()?;
    let steps = Steps::begin(std::io::stderr().is_terminal(), stop.clone(), ASKED);
    let options = VerifyOptions {
        sample: arguments.sample,
        ids: ids_out.as_mut().map(|out| out as &mut dyn FindingSink),
        limit: arguments.max_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        interrupt: Some(target.interrupt(stop, Access::Read)),
        progress: Some(&|step| steps.tell(words(step))),
    };
    let verified = verify(&mut connection, options);
    drop(steps);
    let verified = verified.map_err(|error| match (&ids_out, &error) {
        (Some(out), VerifyError::Sink(reason)) => out.failure(reason),
        (_, VerifyError::Unfinished { .. }) => Failure::of(Exit::Stopped, &error, &error),
        _ => Failure::from(error),
    })?;
    sti_core::metrics::verified(&verified);
    ids_out.map(IdsOut::finish).transpose()?;
    let report = CheckReport::new(target.url.to_string(), &verified, arguments.ids_out.as_deref());
    report.print(arguments.common.format)?;
    // It has its verdict; who else keeps the rows right is a remark.
    match sync::look(&mut connection) {
        Ok(sync) => sync.remark().into_iter().for_each(say),
        Err(error) => {
            say(format_args!("whether there are triggers of `sti-migrate sync` was not to be had: {error}"));
        }
    }
    Ok(if verified.is_clean() { Exit::Done } else { Exit::Negative })
}

fn words(step: Step) -> String {
    match step {
        Step::Comparing => "comparing both sides of every project, in one statement".to_owned(),
        Step::Counting => "counting the rows that the comparison must account for".to_owned(),
        Step::Sampling => "reading the samples".to_owned(),
        Step::Ids { done, of } => format!("ids of the findings: {} of {}", number(done), number(of)),
    }
}
