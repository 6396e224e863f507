//! A sweep with several workers while a service creates, changes, retypes, publishes and deletes projects through the
//! repository: every project ends with exactly its right subtype row.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};

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

#[test]
fn writers_in_all_operations_during_a_sweep() {
    let database = Arc::new(TestDatabase::postgres());
    set_up(&database);
    let ids = database.column("id", "FROM projects_project");
    let projects: Arc<Mutex<Vec<ProjectId>>> =
        Arc::new(Mutex::new(ids.iter().flatten().map(|id| id.parse().unwrap()).collect()));
    let begun = Arc::new((Mutex::new(false), Condvar::new()));
    let over = Arc::new(AtomicBool::new(false));
    let beside = Arc::new(AtomicU32::new(0));
    let seed = fastrand::u64(..);
    println!("seed {seed}");

    let writer = |number: u32| {
        let (database, projects, begun) = (Arc::clone(&database), Arc::clone(&projects), Arc::clone(&begun));
        let (over, beside) = (Arc::clone(&over), Arc::clone(&beside));
        std::thread::spawn(move || {
            let mut connection = open(&database);
            let repository = ProjectRepository::open(&mut connection, WriteMode::Dual).unwrap();
            let mut random = fastrand::Rng::with_seed(seed + u64::from(number));
            let (first, changed) = &*begun;
            drop(changed.wait_while(first.lock().unwrap(), |begun| !*begun).unwrap());
            for _ in 0..CALLS {
                match call(&repository, &mut connection, &projects, &mut random) {
                    // Another writer has deleted it, retyped it, or is about to create it.
                    Ok(()) | Err(RepositoryError::NotFound { .. } | RepositoryError::TypeMismatch { .. }) => {
                    }
                    Err(error) => panic!("seed {seed}: {error}"),
                }
                if !over.load(Ordering::SeqCst) {
                    beside.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    let mut config = config(10, Scope::All);
    config.workers = 3;
    let observer = Tell(|event: &Event| {
        if matches!(event, Event::ChunkDone { .. }) {
            *begun.0.lock().unwrap() = true;
            begun.1.notify_all();
        }
    });
    let done = run_observed(&database, &config, &observer);
    over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.join().unwrap();
    }
    let done = done.unwrap();
    let beside = beside.load(Ordering::SeqCst);
    println!("{beside} of {} calls during the sweep, {:?}", WRITERS * CALLS, done.totals);
    assert!(beside > 100, "only {beside} calls were made during the sweep");
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals.conflict.total() + done.totals.error.total(), 0);
    assert_eq!(differences(&database), [0; 4], "seed {seed}");
    let url = sti_core::db::DatabaseUrl::parse(database.url()).unwrap();
    let mut reader = sti_core::db::connect(&url, Access::Read, "verify").unwrap();
    let report = verify(&mut reader, VerifyOptions { sample: 3, ids: None }).unwrap();
    assert!(report.is_clean(), "seed {seed}: {:#?}", report.classes);
    check_ledger(&database);
}
