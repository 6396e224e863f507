//! The live backfill, after it was killed.

use super::kill;
use crate::staging_check::census::Census;
use crate::staging_check::ledger::{self, LAST_RUN, Totals, miscounted};
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::sides::{Kind, legacy_values, shown};
use crate::staging_check::walk::Walk;

pub(in crate::staging_check) fn resume(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let Some(expected) = walk.memory.totals else {
        return Err(Stop::NotRun("the dry run did not say what to expect".to_owned()));
    };
    let legacy = legacy_values(walk.database(), "1 = 1")?;
    // One that could not be killed has done all of it: another run would find nothing to do.
    let ran = match !(walk.memory.too_fast && walk.place.is_real()) {
        true => Some(walk.run(row, &format!("{} --format json", kill::command(walk)?))?),
        false => None,
    };
    walk.look(row);
    if let Some(ran) = ran {
        row.exit(&ran, i32::from(expected.conflicts() > 0));
        let said = ran.json()?;
        row.equal("totals: our forecast, and the tool's report", expected, Totals::said(&said));
        let resumed = said["resumed"].as_bool().unwrap_or_default();
        row.equal("the tool's report says that it resumed", walk.memory.killed, resumed);
    }
    let database = walk.database();
    row.equal("totals: our forecast, and the sums over the ledger", expected, Totals::recorded(database)?);
    let (chunks, projects) = miscounted(database)?;
    row.equal("chunks that counted another number of projects than lie in their range", 0, chunks);
    row.equal("published projects that are not in exactly one chunk", 0, projects);
    let open = database.count(&format!("sti_backfill_chunk WHERE state <> 'done' AND {LAST_RUN}"))?;
    row.equal("chunks that are not done", 0, open);
    let state = database.value("state", "FROM sti_backfill_run ORDER BY id DESC LIMIT 1")?;
    row.equal("the state of the run", "done", state.as_deref().unwrap_or("nothing"));
    row.equal("new runs in the ledger", 1, ledger::runs(database)? - walk.memory.runs_before);
    let now = legacy_values(database, "1 = 1")?;
    row.equal("the legacy columns", shown(&legacy), shown(&now));
    Ok(())
}

pub(in crate::staging_check) fn rows(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let Some(expected) = walk.memory.rows_to_come else {
        return Err(Stop::NotRun("the dry run did not say what to expect".to_owned()));
    };
    walk.look(row);
    let database = walk.database();
    for (kind, expected) in Kind::BOTH.into_iter().zip(expected) {
        let found = kind.rows(database)?;
        let what = format!("{}: rows that were there, and those made from the legacy columns", kind.table());
        row.equal(what, shown(&expected), shown(&found));
    }
    let census = Census::take(database)?;
    row.equal("published projects of a known type without their row", 0, census.of("missing"));
    row.equal(
        "published projects that have the row of their type",
        census.of("published") - census.of("unknown_published"),
        census.of("covered"),
    );
    Ok(())
}

pub(in crate::staging_check) fn drafts(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let census = Census::take(walk.database())?;
    let before = census.of("missing_draft");
    let expected = Kind::BOTH.map(|kind| kind.rows_to_come(walk.database(), "1 = 1"));
    let line = format!("{} --include-drafts --format json", kill::command(walk)?);
    let ran = walk.run(row, &line)?;
    walk.look(row);
    row.exit(&ran, i32::from(census.of("drift") > 0));
    let database = walk.database();
    let after = Census::take(database)?;
    row.holds(
        "drafts whose values only the legacy columns held",
        "some before, 0 now",
        format!("{before} before, {} now", after.of("missing_draft")),
        after.of("missing_draft") == 0,
    );
    row.equal("projects of a known type without their row", 0, after.of("known_without_row"));
    for (kind, expected) in Kind::BOTH.into_iter().zip(expected) {
        let found = kind.rows(database)?;
        let what = format!("{}: rows that were there, and those made from the legacy columns", kind.table());
        row.equal(what, shown(&expected?), shown(&found));
    }
    Ok(())
}
