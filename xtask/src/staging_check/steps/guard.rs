//! `sti-migrate drop-legacy`: the gates.

use serde_json::Value;

use crate::failure::Failure;
use crate::staging_check::census::Census;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::tools::Ran;
use crate::staging_check::walk::Walk;

/// What the guard says of one gate; null where it says nothing.
pub(super) fn gate<'j>(said: &'j Value, name: &str) -> &'j Value {
    let gates = said["gates"].as_array().map_or(&[][..], Vec::as_slice);
    gates.iter().find(|gate| gate["name"] == name).unwrap_or(&Value::Null)
}

/// The gates that refuse.
pub(super) fn refused(said: &Value) -> Vec<String> {
    let gates = said["gates"].as_array().map_or(&[][..], Vec::as_slice);
    let shut = gates.iter().filter(|gate| gate["verdict"] == "refused");
    shut.filter_map(|gate| gate["name"].as_str()).map(str::to_owned).collect()
}

pub(in crate::staging_check) fn incomplete(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let census = Census::take(walk.database())?;
    if census.of("missing") == 0 {
        return Err(walk.nothing_to_do("every published project has its row already"));
    }
    let before = walk.everything()?;
    let ran = walk.run(row, "sti-migrate drop-legacy --format json")?;
    row.exit(&ran, 1);
    walk.look(row);
    let said = ran.json()?;
    for name in ["backfill-idle", "coverage"] {
        let verdict = gate(&said, name)["verdict"].as_str().unwrap_or("nothing");
        row.equal(format!("the gate {name}"), "refused", verdict);
    }
    row.says("published projects without their row", gate(&said, "coverage"), "/found", census.of("missing"));
    row.says(
        "drafts with values and without their row",
        gate(&said, "draft-values"),
        "/found",
        census.of("missing_draft"),
    );
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &before, &now);
    Ok(())
}

pub(in crate::staging_check) fn waivers(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    let before = walk.everything()?;
    let census = Census::take(walk.database())?;
    let to_waive = [("unknown-type", census.of("unknown_type")), ("stray-values", census.of("stray_value"))];
    let expected: Vec<&str> =
        to_waive.iter().filter(|(_, count)| *count > 0).map(|(name, _)| *name).collect();
    let ran = walk.run(row, "sti-migrate drop-legacy --format json")?;
    row.exit(&ran, i32::from(!expected.is_empty()));
    let said = ran.json()?;
    row.equal("gates that refuse without waivers", expected.join(", "), refused(&said).join(", "));
    for (name, count) in to_waive {
        row.says(&format!("found by the gate {name}"), gate(&said, name), "/found", count);
    }
    let waive = |less: i64| {
        let words = to_waive.iter().filter(|(_, count)| *count > 0);
        words.map(|(name, count)| format!(" --waive {name}={}", count - less)).collect::<String>()
    };
    if !expected.is_empty() && to_waive.iter().all(|(_, count)| *count != 1) {
        let ran = walk.run(row, &format!("sti-migrate drop-legacy{} --format json", waive(1)))?;
        row.exit(&ran, 1);
    }
    walk.memory.waivers = waive(0);
    let ran = walk.run(row, &format!("sti-migrate drop-legacy{} --format json", waive(0)))?;
    walk.look(row);
    row.exit(&ran, 0);
    let said = ran.json()?;
    row.equal("gates that refuse with them", String::new(), refused(&said).join(", "));
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &before, &now);
    walk.memory.digest = digest(&ran)?;
    let shown = walk.memory.digest.clone().unwrap_or_default();
    row.holds("the digest of the plan", "12 hexadecimal digits", &shown, shown.len() == 12);
    Ok(())
}

/// The digest that a plan shows.
pub(super) fn digest(ran: &Ran) -> Result<Option<String>, Failure> {
    Ok(ran.json()?["digest"].as_str().map(str::to_owned))
}

pub(in crate::staging_check) fn wrong_digest(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if !walk.place.may_drop() {
        return Err(walk.no_drop());
    }
    let before = walk.everything()?;
    let waivers = &walk.memory.waivers;
    let line = format!("sti-migrate drop-legacy{waivers} --execute --confirm 000000000000 --format json");
    let ran = walk.run(row, &line)?;
    walk.look(row);
    row.exit(&ran, 1);
    let now = walk.everything()?;
    row.unchanged("every row and the schema", &before, &now);
    Ok(())
}
