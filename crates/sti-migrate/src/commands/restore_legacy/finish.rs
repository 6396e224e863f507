//! `sti-migrate restore-legacy --finish`

use serde::Serialize;
use sti_cli::signals::Listener;
use sti_cli::stderr::say;
use sti_cli::{Answer, Common, Document, Exit, Report, Target, retries};
use sti_core::contract::restore::{Attempts, Finish, FinishEvent, FinishOptions, finish};

use super::failure;

pub(super) fn run(common: &Common, locks: Attempts) -> Answer {
    let target = common.database.resolve("sti-migrate restore-legacy --finish")?;
    let options = FinishOptions { locks, ..FinishOptions::default() };
    // A second signal leaves at once, and its COMMIT may be under way.
    let _listener = Listener::start(&options.stop, Exit::Unknown)?;
    let answer = finish(&mut target.connector(), &options, &mut tell).map_err(|error| failure(&error))?;
    FinishReport::new(&target, &answer).print(common.format)?;
    Ok(match answer {
        Finish::Done { .. } | Finish::Already { .. } => Exit::Done,
        Finish::NothingDropped | Finish::NotRestored { .. } | Finish::StillNeeded { .. } => Exit::Negative,
        Finish::Stopped { .. } => Exit::Stopped,
    })
}

fn tell(event: &FinishEvent) {
    match event {
        FinishEvent::Watching { left } => say(format_args!(
            "watching the triggers for another {:.0} s, whether somebody still writes subtype rows alone; Ctrl-C ends \
             it and changes nothing",
            left.as_secs_f64().ceil()
        )),
        FinishEvent::Retried(retry) => retries::tell(retry),
    }
}

struct FinishReport<'a> {
    target: String,
    finish: &'a Finish,
}

#[derive(Serialize)]
struct Json<'a> {
    target: &'a str,
    outcome: &'static str,
    event: Option<i64>,
    attempts: Option<u32>,
    next: &'static [&'static str],
}

impl<'a> FinishReport<'a> {
    fn new(target: &Target, finish: &'a Finish) -> Self {
        Self { target: target.url.to_string(), finish }
    }

    fn next(&self) -> &'static [&'static str] {
        match self.finish {
            Finish::NotRestored { .. } => {
                &["sti-migrate restore-legacy", "sti-migrate restore-legacy --finish"]
            }
            Finish::StillNeeded { .. } | Finish::Stopped { .. } => &["sti-migrate restore-legacy --finish"],
            Finish::NothingDropped => &["sti-migrate status"],
            Finish::Done { .. } | Finish::Already { .. } => &["sti-verify"],
        }
    }
}

impl Report for FinishReport<'_> {
    fn document(&self) -> Document {
        let document = match self.finish {
            Finish::Done { event, .. } => Document::new()
                .paragraph(format!(
                    "Finished: the triggers of the restore of drop {event} are gone. The legacy columns are kept \
                     level by the services alone."
                ))
                .paragraph(
                    "A writer that writes subtype rows only leaves the columns behind from now on. To see that there \
                     is none, compare both sides once services have written for a while:",
                ),
            Finish::Already { event } => Document::new().paragraph(format!(
                "Nothing to do: the restore of drop {event} was finished before, and no trigger of it is left."
            )),
            Finish::NotRestored { event } => Document::new()
                .paragraph(format!(
                    "Refused: drop {event} is not restored, and its triggers are what keeps both sides level until it \
                     is. Nothing was changed."
                ))
                .paragraph("First:"),
            Finish::StillNeeded { levelled_at, ago, .. } => Document::new()
                .paragraph(format!(
                    "Refused: {:.0} s ago ({}) somebody wrote a subtype row and not the legacy columns, when every \
                     service should have noticed that they are back; the triggers brought the values over. Without \
                     them both sides would drift apart. Nothing was changed.",
                    ago.as_secs_f64(),
                    levelled_at.0.format("%Y-%m-%d %H:%M:%S UTC")
                ))
                .paragraph(
                    "Find that writer and stop it, or let it write the legacy columns too. When it has been quiet for \
                     60 s:",
                ),
            Finish::Stopped { event } => Document::new()
                .paragraph(format!(
                    "Stopped, as asked: the triggers of the restore of drop {event} are there as before. Nothing was \
                     changed."
                ))
                .paragraph("To take them away:"),
            Finish::NothingDropped => Document::new()
                .paragraph("Refused: there is no drop on record, and no trigger of a restore. Nothing was changed."),
        };
        self.next().iter().fold(document, |document, command| document.command(*command))
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let (outcome, event, attempts) = match *self.finish {
            Finish::Done { event, attempts } => ("done", Some(event), Some(attempts)),
            Finish::Already { event } => ("already", Some(event), None),
            Finish::NotRestored { event } => ("refused", Some(event), None),
            Finish::StillNeeded { event, .. } => ("refused", Some(event), None),
            Finish::Stopped { event } => ("stopped", Some(event), None),
            Finish::NothingDropped => ("refused", None, None),
        };
        serde_json::to_value(Json { target: &self.target, outcome, event, attempts, next: self.next() })
    }
}
