//! Verifying: the report, and the file of ids.

mod report;
mod words;

use sti_cli::answer::say;
use sti_cli::{Answer, Exit, Failure, Report as _};
use sti_core::db::Access;
use sti_core::sync;
use sti_core::verify::{FindingSink, VerifyError, VerifyOptions, verify};

use self::report::CheckReport;
use crate::arguments::Arguments;
use crate::ids_out::IdsOut;

pub(crate) fn run(arguments: &Arguments) -> Answer {
    let target = arguments.common.database.resolve("sti-verify")?;
    let mut connection = target.connect(Access::Read)?;
    let mut ids_out = arguments.ids_out.as_deref().map(IdsOut::create).transpose()?;
    let ids = ids_out.as_mut().map(|out| out as &mut dyn FindingSink);
    let verified = verify(&mut connection, VerifyOptions { sample: arguments.sample, ids });
    let verified = verified.map_err(|error| match (&ids_out, &error) {
        (Some(out), VerifyError::Sink(reason)) => out.failure(reason),
        _ => Failure::from(error),
    })?;
    sti_core::metrics::verified(&verified);
    ids_out.map(IdsOut::finish).transpose()?;
    let report = CheckReport::new(target.url.to_string(), &verified, arguments.ids_out.as_deref());
    report.print(arguments.common.format)?;
    if let Some(remark) = sync::look(&mut connection)?.remark() {
        say(remark);
    }
    Ok(if verified.is_clean() { Exit::Done } else { Exit::Negative })
}
