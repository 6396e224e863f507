//! The second step: everything is compared and archived in one snapshot, which is opened after the change log was
//! committed.

use super::Work;
use crate::contract::archive::archive;
use crate::contract::attempt::{Stop, expect};
use crate::contract::attempts::Tries;
use crate::contract::look::{Look, Place, look};
use crate::contract::outcome::Refusal;
use crate::contract::progress::Progress;
use crate::contract::run;
use crate::contract::tally::Tally;
use crate::db::dialect;
use crate::db::error::Doing as _;
use crate::db::{AnyConnection, Failed, writing_snapshot};
use crate::probe::Step;

/// What the snapshot had, which is archived and committed.
pub(super) fn snapshot(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    run: i64,
    tries: &mut Tries<'_>,
) -> Result<(Look, Tally), Failed<Stop>> {
    work.options.go_on().map_err(|error| Failed::Body(error.into()))?;
    tries.tell(&Progress::ComparingAgain);
    writing_snapshot(connection, |connection| {
        work.options
            .interruptible(connection, |connection| compare_and_archive(connection, work, run, tries))?
    })
}

fn compare_and_archive(
    connection: &mut AnyConnection,
    work: &Work<'_>,
    run: i64,
    tries: &mut Tries<'_>,
) -> Result<(Look, Tally), Stop> {
    dialect::notice_lost_client(connection).doing("asking the server to look after its client")?;
    let seen = run::hold(connection, run, None)?;
    let found = look(connection, work.options, Place::Snapshot)?;
    if !found.plan.is_open() {
        return Err(Stop::Refused(Box::new(found.plan), Refusal::GatesMeanwhile));
    }
    if found.covered != work.before.covered {
        let given = work.digest.to_owned();
        return Err(Stop::Refused(Box::new(found.plan), Refusal::AnotherPlan { given }));
    }
    work.options.probe.at(Step::Archive);
    tries.tell(&Progress::Archiving { projects: found.plan.archive_rows });
    let archived = archive(connection, run)?;
    expect("rows in the archive", found.plan.archive_rows, archived)?;
    let tally = Tally::of(&found.plan, archived, seen);
    Ok((found, tally))
}
