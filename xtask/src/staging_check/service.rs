//! A service that embeds `sti_core::ProjectRepository`, as a real one does: opened once, used before the drop, after it,
//! and after the restore. What it wrote is held against our own SQL each time.

use std::sync::OnceLock;

use sti_core::db::sql_types::Integer;
use sti_core::db::{Access, AnyConnection, connect};
use sti_core::repository::{
    Details, DetailsPatch, ListQuery, NewDetails, NewProject, ProjectPatch, SchoolDetails, SchoolPatch,
    SelfStudyDetails, SelfStudyPatch, TypeChange,
};
use sti_core::{ProjectId, ProjectRepository, RepositoryError, WriteMode};

use super::database::Database;
use super::row::Row;
use super::sides::Kind;
use crate::failure::Failure;

/// The names of projects that a service of this walk makes begin so, and no others: nobody else's rows are deleted, and
/// those that an interrupted walk has left are like any other.
pub(super) fn ours() -> &'static str {
    static OURS: OnceLock<String> = OnceLock::new();
    OURS.get_or_init(|| format!("staging-check {} ", &ProjectId::random().hex()[..12]))
}

/// SQL: the projects that no service of this walk has touched.
pub(super) fn untouched() -> String {
    format!("name NOT LIKE '{}%'", ours())
}

/// A repository in dual mode and one in subtype mode, each with its connection.
pub(super) struct Service {
    seats: Vec<Seat>,
    owner: Integer,
}

struct Seat {
    mode: WriteMode,
    connection: AnyConnection,
    projects: ProjectRepository,
    /// What it has written: the subtype row, and so the legacy columns, must say this.
    written: Vec<(ProjectId, Details)>,
}

/// Opens a repository as a service does when it starts.
pub(super) fn open(
    database: &Database,
    mode: WriteMode,
) -> Result<Result<(AnyConnection, ProjectRepository), RepositoryError>, Failure> {
    let connection = connect(database.url(), Access::Write, super::database::APPLICATION);
    let mut connection = connection.map_err(|error| Failure::new(error.to_string()))?;
    Ok(ProjectRepository::open(&mut connection, mode).map(|projects| (connection, projects)))
}

/// A user who may own projects.
pub(super) fn owner(database: &Database) -> Result<Integer, Failure> {
    let owner = database.value("min(owner_id)", "FROM projects_project")?;
    Ok(Integer(owner.and_then(|owner| owner.parse().ok()).unwrap_or(1)))
}

impl Service {
    pub(super) fn start(database: &Database) -> Result<Self, Failure> {
        let mut seats = Vec::new();
        for mode in [WriteMode::Dual, WriteMode::Subtype] {
            let opened = open(database, mode)?.map_err(failed(mode, "open"))?;
            let (connection, projects) = opened;
            seats.push(Seat { mode, connection, projects, written: Vec::new() });
        }
        Ok(Self { seats, owner: owner(database)? })
    }

    /// Makes, reads, lists, changes and deletes projects in both modes; `moment` is part of what it writes.
    pub(super) fn work(&mut self, moment: &str) -> Result<(), Failure> {
        let owner = self.owner;
        self.seats.iter_mut().try_for_each(|seat| seat.work(moment, owner))
    }

    /// Holds what was written against the rows: the subtype rows, and the legacy columns where they are there.
    pub(super) fn compare(
        &mut self,
        row: &mut Row,
        database: &Database,
        legacy: bool,
    ) -> Result<(), Failure> {
        for seat in &mut self.seats {
            let mode = seat.mode;
            let mut differ = Vec::new();
            for (id, written) in &seat.written {
                differ.extend(differences(database, *id, written, legacy)?);
                let read = seat.projects.get(&mut seat.connection, *id).map_err(failed(mode, "get"))?;
                if read.details != *written {
                    differ.push(format!("{} reads otherwise than written", id.hex()));
                }
            }
            let sides = if legacy { "both sides" } else { "the subtype rows" };
            let written = seat.written.len();
            let found = if differ.is_empty() { format!("{written} as written") } else { differ.join("; ") };
            let what =
                format!("{mode} mode: {sides} of the projects that the service wrote, and what it reads");
            row.holds(what, format!("{written} as written"), found, differ.is_empty() && written > 0);
        }
        Ok(())
    }

    /// Deletes everything that it made.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        for seat in &mut self.seats {
            for (id, _) in std::mem::take(&mut seat.written) {
                seat.projects.delete(&mut seat.connection, id).map_err(failed(seat.mode, "delete"))?;
            }
        }
        Ok(())
    }
}

impl Seat {
    fn work(&mut self, moment: &str, owner: Integer) -> Result<(), Failure> {
        let Self { mode, connection, projects, written } = self;
        let mode = *mode;
        let name = format!("{}{mode} {moment}", ours());
        let text = |what: &str| format!("{what} {moment} \u{1f9ea} O'Brien\\N\t");

        // One that was written at an earlier moment.
        if let Some((id, details)) = written.first_mut() {
            *details = projects
                .update(connection, *id, &patch(details, &text("again")))
                .map_err(failed(mode, "update"))?
                .details;
        }
        let school = SchoolDetails { course_name: text("course"), ..SchoolDetails::default() };
        let new = NewProject::draft(&name, owner, NewDetails::School(school.clone()));
        let id = projects.create(connection, &new).map_err(failed(mode, "create"))?.project.id;
        let publish = ProjectPatch {
            is_draft: Some(false),
            details: Some(DetailsPatch::School(SchoolPatch {
                teacher_name: Some(text("teacher")),
                ..SchoolPatch::default()
            })),
            ..ProjectPatch::default()
        };
        projects.update(connection, id, &publish).map_err(failed(mode, "update"))?;
        written.push((id, Details::School(SchoolDetails { teacher_name: text("teacher"), ..school })));

        let study = SelfStudyDetails { goal_description: text("goal"), study_frequency: String::new() };
        let new = NewProject::draft(&name, owner, NewDetails::SelfStudy(study.clone()));
        let id = projects.create(connection, &new).map_err(failed(mode, "create"))?.project.id;
        written.push((id, Details::SelfStudy(study)));

        let new = NewProject::draft(&name, owner, NewDetails::School(SchoolDetails::default()));
        let id = projects.create(connection, &new).map_err(failed(mode, "create"))?.project.id;
        let change = TypeChange::SelfStudy(SelfStudyPatch {
            study_frequency: Some("daily".to_owned()),
            ..SelfStudyPatch::default()
        });
        projects.change_type(connection, id, &change).map_err(failed(mode, "change the type"))?;
        let study = SelfStudyDetails { goal_description: String::new(), study_frequency: "daily".to_owned() };
        written.push((id, Details::SelfStudy(study)));

        let new = NewProject::draft(&name, owner, NewDetails::SelfStudy(SelfStudyDetails::default()));
        let id = projects.create(connection, &new).map_err(failed(mode, "create"))?.project.id;
        projects.delete(connection, id).map_err(failed(mode, "delete"))?;

        let page = ListQuery { limit: 100, ..ListQuery::default() };
        projects.list(connection, &page).map_err(failed(mode, "list"))?;
        Ok(())
    }
}

fn failed(mode: WriteMode, call: &str) -> impl FnOnce(RepositoryError) -> Failure {
    Failure::during(format!("{call} as a service in {mode} mode"))
}

/// Changes one field; the others stay.
fn patch(details: &Details, text: &str) -> ProjectPatch {
    let details = match details {
        Details::School(_) => DetailsPatch::School(SchoolPatch {
            course_code: Some(text.chars().take(50).collect()),
            ..SchoolPatch::default()
        }),
        _ => DetailsPatch::SelfStudy(SelfStudyPatch {
            goal_description: Some(text.to_owned()),
            ..SelfStudyPatch::default()
        }),
    };
    ProjectPatch { details: Some(details), ..ProjectPatch::default() }
}

/// What the rows of a project say otherwise than what was written.
fn differences(
    database: &Database,
    id: ProjectId,
    written: &Details,
    legacy: bool,
) -> Result<Vec<String>, Failure> {
    let (kind, values) = match written {
        Details::School(all) => (Kind::School, vec![&all.course_name, &all.course_code, &all.teacher_name]),
        Details::SelfStudy(all) => (Kind::SelfStudy, vec![&all.goal_description, &all.study_frequency]),
        Details::None => return Ok(Vec::new()),
    };
    let expected: Vec<Option<String>> = values.into_iter().cloned().map(Some).collect();
    let hex = id.hex();
    let mut differ = Vec::new();
    for of in Kind::BOTH {
        let rows = database.rows(of.columns(), &format!("FROM {} WHERE project_id = '{hex}'", of.table()))?;
        let as_written = if of == kind { rows == [expected.clone()] } else { rows.is_empty() };
        if !as_written {
            differ.push(format!("{hex}: {} row", of.name()));
        }
        if legacy {
            let rest = format!("FROM projects_project WHERE id = '{hex}'");
            let values = of.columns().iter().map(|column| format!("COALESCE({column}, '')"));
            let found = database.rows(&values.collect::<Vec<_>>(), &rest)?;
            let empty: Vec<Option<String>> = of.columns().iter().map(|_| Some(String::new())).collect();
            if found != [if of == kind { expected.clone() } else { empty }] {
                differ.push(format!("{hex}: legacy columns of {}", of.name()));
            }
        }
    }
    Ok(differ)
}
