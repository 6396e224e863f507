//! What goes on after the drop, and after everything.

use sti_core::repository::{
    Details, DetailsPatch, NewDetails, NewProject, ProjectPatch, SchoolDetails, SchoolPatch,
};
use sti_core::{RepositoryError, WriteMode};

use super::clean::mend;
use super::drop::legacy_columns;
use crate::failure::Failure;
use crate::staging_check::census::Census;
use crate::staging_check::row::{Row, Stop};
use crate::staging_check::service::{self, ours, untouched};
use crate::staging_check::sides::{LEGACY, lasting_values, legacy_values, shown};
use crate::staging_check::walk::Walk;

pub(in crate::staging_check) fn service(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if !legacy_columns(walk.database())?.is_empty() {
        return Err(walk.no_drop());
    }
    let Some(mut service) = walk.memory.service.take() else {
        return Err(Stop::NotRun("no service was started before the drop".to_owned()));
    };
    let worked = service.work("after the drop");
    walk.look(row);
    let compared = worked.and_then(|()| service.compare(row, walk.database(), false));
    walk.memory.service = Some(service);
    compared?;
    let legacy = service::open(walk.database(), WriteMode::Legacy)?;
    let found = legacy.as_ref().map_or_else(ToString::to_string, |_| "it starts".to_owned());
    let refused = matches!(legacy, Err(RepositoryError::LegacyColumnsGone));
    row.holds("a service in legacy mode", "does not start: the columns are gone", found, refused);
    Ok(())
}

/// The name of the project that legacy mode makes, and of the one that it changes.
const LEGACY_ONLY: &str = "in legacy mode";
const DRIFTS: &str = "made in dual mode, changed in legacy mode";

pub(in crate::staging_check) fn legacy(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if legacy_columns(walk.database())?.len() != LEGACY.len() {
        return Err(Stop::NotRun("the legacy columns are not there".to_owned()));
    }
    // The flag goes back through its neighbour: the services that write both sides stop.
    if let Some(mut service) = walk.memory.service.take() {
        service.clear()?;
    }
    let failed = |error| Failure::during("use a service in legacy mode")(error);
    let owner = service::owner(walk.database())?;
    let school = |name: &str, details: SchoolDetails| NewProject {
        is_draft: false,
        ..NewProject::draft(format!("{}{name}", ours()), owner, NewDetails::School(details))
    };
    let (mut both, dual) = service::open(walk.database(), WriteMode::Dual)?.map_err(failed)?;
    let drifts =
        dual.create(&mut both, &school(DRIFTS, SchoolDetails::default())).map_err(failed)?.project.id;
    drop(both);
    let opened = service::open(walk.database(), WriteMode::Legacy)?;
    row.holds(
        "a service in legacy mode",
        "starts",
        opened.as_ref().map_or_else(ToString::to_string, |_| "starts".to_owned()),
        opened.is_ok(),
    );
    let (mut connection, projects) = opened.map_err(failed)?;
    let details = SchoolDetails { course_name: "only here".to_owned(), ..SchoolDetails::default() };
    let id = projects.create(&mut connection, &school(LEGACY_ONLY, details)).map_err(failed)?.project.id;
    let patch = ProjectPatch {
        details: Some(DetailsPatch::School(SchoolPatch {
            teacher_name: Some("Ada".to_owned()),
            ..SchoolPatch::default()
        })),
        ..ProjectPatch::default()
    };
    for id in [id, drifts] {
        projects.update(&mut connection, id, &patch).map_err(failed)?;
    }
    walk.look(row);
    for (id, made_in, expected) in [(id, "legacy", "only here, Ada"), (drifts, "dual", ", Ada")] {
        let rest = format!("FROM projects_project WHERE id = '{}'", id.hex());
        let found = walk.database().rows(&["course_name", "teacher_name"], &rest)?;
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
        let found = found
            .first()
            .map_or_else(|| "no row".to_owned(), |row| row.iter().map(text).collect::<Vec<_>>().join(", "));
        let what = format!("the legacy columns as written, of the project that {made_in} mode made");
        row.equal(what, expected.to_owned(), found);
    }
    let read = projects.get(&mut connection, id).map_err(failed)?;
    let read = match read.details {
        Details::School(all) => format!("{}, {}", all.course_name, all.teacher_name),
        _ => "another kind".to_owned(),
    };
    row.equal("read back", "only here, Ada".to_owned(), read);
    Ok(())
}

pub(in crate::staging_check) fn mend_after(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if legacy_columns(walk.database())?.len() != LEGACY.len() {
        return Err(Stop::NotRun("the legacy columns are not there".to_owned()));
    }
    let census = Census::take(walk.database())?;
    if census.findings() == "none" {
        return Err(Stop::NotRun("legacy mode left nothing behind".to_owned()));
    }
    let ran = walk.run(row, "sti-verify --format json")?;
    row.exit(&ran, 1);
    let said = ran.json()?;
    row.says("published projects without their row", &said, "/findings/missing/total", census.of("missing"));
    row.says("rows that differ", &said, "/findings/drift/total", census.of("drift"));
    row.equal("rows that differ: the one that legacy mode wrote past", 1, census.of("drift"));
    let ran = walk.run(row, "ENABLE_STI=true sti backfill --format json")?;
    row.exit(&ran, i32::from(census.of("drift") > 0));
    mend(walk, row)
}

pub(in crate::staging_check) fn tidy(walk: &mut Walk, row: &mut Row) -> Result<(), Stop> {
    if let Some(mut service) = walk.memory.service.take() {
        service.clear()?;
    }
    let of_this_walk = format!("(SELECT id FROM projects_project WHERE name LIKE '{}%')", ours());
    for (table, key) in [
        ("projects_schoolproject", "project_id"),
        ("projects_selfstudyproject", "project_id"),
        ("projects_project", "id"),
    ] {
        walk.database().execute(&format!("DELETE FROM {table} WHERE {key} IN {of_this_walk}"))?;
    }
    walk.look(row);
    let Some((legacy, others)) = walk.memory.at_first else {
        return Err(Stop::NotRun("nothing is known of the beginning".to_owned()));
    };
    let database = walk.database();
    if legacy_columns(database)?.len() == LEGACY.len() {
        let now = legacy_values(database, "1 = 1")?;
        row.equal("legacy values at first, and now", shown(&legacy), shown(&now));
    }
    let now = lasting_values(database, &untouched())?;
    row.equal("the other columns of projects_project at first, and now", shown(&others), shown(&now));
    Ok(())
}
