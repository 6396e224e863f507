//! A sweep with several workers while services create, change, retype, publish and delete projects through the
//! repository, and writers that know nothing of subtype rows do so past it, with sync triggers: every project ends with
//! exactly its right subtype row.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use sti_core::backfill::{Ending, Scope};
use sti_core::db::sql_types::Integer;
use sti_core::db::{Access, AnyConnection};
use sti_core::observe::Event;
use sti_core::repository::{
    DetailsPatch, NewDetails, NewProject, ProjectPatch, RepositoryError, SchoolDetails, SchoolPatch,
    SelfStudyDetails, SelfStudyPatch, TypeChange,
};
use sti_core::test_support::{TestDatabase, check_ledger};
use sti_core::verify::{VerifyOptions, verify};
use sti_core::{ProjectId, ProjectRepository, WriteMode};

use super::rig::{Tell, config, differences, migrate, open, run_observed};
use crate::sync::rig::installed;

const PROJECTS: u32 = 1500;
const WRITERS: u32 = 4;
const CALLS: u32 = 250;

/// Projects of a service that knew nothing of subtype rows, a fifth of them drafts.
fn set_up(database: &TestDatabase) {
    migrate(database);
    database.execute(&format!(
        "INSERT INTO projects_project (id, name, project_type, course_name, course_code, goal_description, is_draft, \
            created_at, updated_at, owner_id) \
         SELECT md5(n::text)::uuid, 'p', CASE n % 3 WHEN 0 THEN 'school' WHEN 1 THEN 'self_study' ELSE 'school' END, \
            CASE WHEN n % 3 <> 1 THEN 'course ' || n END, NULL, CASE WHEN n % 3 = 1 THEN 'goal ' || n END, n % 5 = 0, \
            now(), now(), 1 FROM generate_series(1, {PROJECTS}) n"
    ));
}

/// One of the service's calls, on a project of the shared list.
fn call(
    repository: &ProjectRepository,
    connection: &mut AnyConnection,
    projects: &Mutex<Vec<ProjectId>>,
    random: &mut fastrand::Rng,
) -> Result<(), RepositoryError> {
    let any = |random: &mut fastrand::Rng| {
        let projects = projects.lock().unwrap();
        projects[random.usize(..projects.len())]
    };
    let text = format!("text {}", random.u32(..));
    match random.u32(..6) {
        0 => {
            let details = if random.bool() {
                NewDetails::School(SchoolDetails { course_name: text, ..SchoolDetails::default() })
            } else {
                NewDetails::SelfStudy(SelfStudyDetails {
                    goal_description: text,
                    ..SelfStudyDetails::default()
                })
            };
            let new = NewProject { is_draft: random.bool(), ..NewProject::draft("new", Integer(1), details) };
            projects.lock().unwrap().push(new.id);
            repository.create(connection, &new).map(drop)
        }
        1 => {
            let patch = SchoolPatch { course_code: Some(text), ..SchoolPatch::default() };
            repository.change_type(connection, any(random), &TypeChange::School(patch)).map(drop)
        }
        2 => {
            let patch = SelfStudyPatch { study_frequency: Some(text), ..SelfStudyPatch::default() };
            repository.change_type(connection, any(random), &TypeChange::SelfStudy(patch)).map(drop)
        }
        3 => {
            let patch = ProjectPatch { is_draft: Some(false), ..ProjectPatch::default() };
            repository.update(connection, any(random), &patch).map(drop)
        }
        4 => {
            let project = any(random);
            let details = match repository.get(connection, project)?.details.kind() {
                Some(sti_core::models::Kind::School) => {
                    DetailsPatch::School(SchoolPatch { teacher_name: Some(text), ..SchoolPatch::default() })
                }
                _ => DetailsPatch::SelfStudy(SelfStudyPatch {
                    goal_description: Some(text),
                    ..SelfStudyPatch::default()
                }),
            };
            let patch = ProjectPatch { details: Some(details), ..ProjectPatch::default() };
            repository.update(connection, project, &patch).map(drop)
        }
        _ => repository.delete(connection, any(random)),
    }
}

/// What a writer that knows the legacy columns only does, on a project of the shared list.
fn legacy_sql(projects: &Mutex<Vec<ProjectId>>, random: &mut fastrand::Rng) -> String {
    let text = format!("legacy {}", random.u32(..));
    let id = {
        let projects = projects.lock().unwrap();
        projects[random.usize(..projects.len())]
    };
    // As Django saves: every column is named.
    let save = |project_type: &str| {
        format!(
            "UPDATE projects_project SET name = 'saved', project_type = {project_type}, course_name = '{text}', \
                course_code = course_code, teacher_name = NULL, goal_description = goal_description, \
                study_frequency = '{text}', updated_at = now() WHERE id = '{id}'"
        )
    };
    match random.u32(..6) {
        0 => {
            let new = ProjectId::random();
            projects.lock().unwrap().push(new);
            let kind = if random.bool() { "school" } else { "self_study" };
            format!(
                "INSERT INTO projects_project (id, name, project_type, course_name, goal_description, is_draft, \
                    created_at, updated_at, owner_id) \
                 VALUES ('{new}', 'new', '{kind}', '{text}', '{text}', {}, now(), now(), 1)",
                random.bool()
            )
        }
        1 => save("'school'"),
        2 => save("'self_study'"),
        3 => save("project_type"),
        4 => format!("UPDATE projects_project SET is_draft = false WHERE id = '{id}'"),
        _ => format!("DELETE FROM projects_project WHERE id = '{id}'"),
    }
}

/// What all writers share.
#[derive(Clone)]
struct Beside {
    database: Arc<TestDatabase>,
    projects: Arc<Mutex<Vec<ProjectId>>>,
    /// The sweep has begun.
    begun: Arc<(Mutex<bool>, Condvar)>,
    over: Arc<AtomicBool>,
    /// Calls that were made while the sweep went on.
    calls: Arc<AtomicU32>,
    seed: u64,
}

impl Beside {
    fn write(&self, number: u32, mut call: impl FnMut(&mut fastrand::Rng)) {
        let mut random = fastrand::Rng::with_seed(self.seed + u64::from(number));
        let (first, changed) = &*self.begun;
        drop(changed.wait_while(first.lock().unwrap(), |begun| !*begun).unwrap());
        for _ in 0..CALLS {
            call(&mut random);
            if !self.over.load(Ordering::SeqCst) {
                self.calls.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn service(self, number: u32) {
        let mut connection = open(&self.database);
        let repository = ProjectRepository::open(&mut connection, WriteMode::Dual).unwrap();
        self.write(number, |random| match call(&repository, &mut connection, &self.projects, random) {
            // Another writer has deleted it, retyped it, or is about to create it.
            Ok(()) | Err(RepositoryError::NotFound { .. } | RepositoryError::TypeMismatch { .. }) => {}
            Err(error) => panic!("seed {}: {error}", self.seed),
        });
    }

    fn legacy_only(self, number: u32) {
        let mut connection = PgConnection::establish(&self.database.application_role()).unwrap();
        self.write(number, |random| {
            let sql = legacy_sql(&self.projects, random);
            connection.batch_execute(&sql).unwrap_or_else(|e| panic!("seed {}: {e}\nin: {sql}", self.seed));
        });
    }
}

#[test]
fn services_in_all_operations_during_a_sweep() {
    sweep_beside(WRITERS, 0);
}

/// Their role may write `projects_project`, and nothing else.
#[test]
fn legacy_only_writers_with_sync_triggers_and_services_during_a_sweep() {
    sweep_beside(WRITERS / 2, WRITERS / 2);
}

fn sweep_beside(services: u32, legacy_only: u32) {
    let database = Arc::new(TestDatabase::postgres());
    set_up(&database);
    if legacy_only > 0 {
        database.grant_application(&["projects_project"]);
        installed(&database);
    }
    let ids = database.column("id", "FROM projects_project");
    let beside = Beside {
        database: Arc::clone(&database),
        projects: Arc::new(Mutex::new(ids.iter().flatten().map(|id| id.parse().unwrap()).collect())),
        begun: Arc::default(),
        over: Arc::default(),
        calls: Arc::default(),
        seed: fastrand::u64(..u64::MAX / 2),
    };
    let seed = beside.seed;
    let writers: Vec<_> = (0..services + legacy_only)
        .map(|number| {
            let beside = beside.clone();
            std::thread::spawn(move || {
                if number < services { beside.service(number) } else { beside.legacy_only(number) }
            })
        })
        .collect();
    let mut config = config(10, Scope::All);
    config.workers = 3;
    let observer = Tell(|event: &Event| {
        if matches!(event, Event::ChunkDone { .. }) {
            *beside.begun.0.lock().unwrap() = true;
            beside.begun.1.notify_all();
        }
    });
    let done = run_observed(&database, &config, &observer);
    beside.over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.join().unwrap();
    }
    let done = done.unwrap();
    let calls = beside.calls.load(Ordering::SeqCst);
    assert!(calls > 100, "seed {seed}: only {calls} calls were made during the sweep");
    assert_eq!(done.ending, Ending::Complete, "seed {seed}");
    assert_eq!(done.totals.conflict.total() + done.totals.error.total(), 0, "seed {seed}: {:?}", done.totals);
    assert_eq!(differences(&database), [0; 4], "seed {seed}");
    let url = sti_core::db::DatabaseUrl::parse(database.url()).unwrap();
    let mut reader = sti_core::db::connect(&url, Access::Read, "verify").unwrap();
    let report = verify(&mut reader, VerifyOptions { sample: 3, ..VerifyOptions::default() }).unwrap();
    assert!(report.is_clean(), "seed {seed}: {:#?}", report.classes);
    check_ledger(&database);
}
