//! A writer between each pair of statements of a chunk, forced by locks on a real server. Each case is run as the
//! engine is, and must end right; and with the lock, or the second statement, taken out, and must end wrong: so
//! each of them is shown to need what it is there to hold.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use sti_core::backfill::{Ending, PerKind, Scope, Totals};
use sti_core::probe::{Probe, Sabotage, Step};
use sti_core::test_support::{Session, TestDatabase, comes_to_wait};

use super::rig::{config, id, insert_project, migrate, run};
use crate::sync::rig::installed;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// A service in dual mode: the project first, then its row.
    Service,
    /// One that knows the legacy columns only, with the sync triggers.
    LegacyOnly,
}

/// What the writer does to project 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Update,
    ChangeType,
    Delete,
    Publish,
}

impl Write {
    fn sql(self, writer: Writer) -> String {
        if writer == Writer::LegacyOnly { self.legacy_sql() } else { self.service_sql() }
    }

    fn legacy_sql(self) -> String {
        let id = id(2);
        match self {
            Self::Update | Self::Publish => {
                format!("UPDATE projects_project SET course_name = 'new', is_draft = false WHERE id = '{id}'")
            }
            // It leaves the old values where they are.
            Self::ChangeType => format!(
                "UPDATE projects_project SET project_type = 'self_study', goal_description = 'goal', \
                    study_frequency = 'daily' WHERE id = '{id}'"
            ),
            Self::Delete => format!("DELETE FROM projects_project WHERE id = '{id}'"),
        }
    }

    fn service_sql(self) -> String {
        let id = id(2);
        match self {
            Self::Update | Self::Publish => format!(
                "UPDATE projects_project SET course_name = 'new', is_draft = false WHERE id = '{id}'; \
                 INSERT INTO projects_schoolproject SELECT id, course_name, COALESCE(course_code, ''), \
                    COALESCE(teacher_name, '') FROM projects_project WHERE id = '{id}' \
                 ON CONFLICT (project_id) DO UPDATE SET course_name = EXCLUDED.course_name"
            ),
            Self::ChangeType => format!(
                "UPDATE projects_project SET project_type = 'self_study', course_name = NULL, course_code = NULL, \
                    teacher_name = NULL, goal_description = 'goal', study_frequency = 'daily' WHERE id = '{id}'; \
                 DELETE FROM projects_schoolproject WHERE project_id = '{id}'; \
                 INSERT INTO projects_selfstudyproject VALUES ('{id}', 'goal', 'daily')"
            ),
            Self::Delete => format!(
                "SELECT 1 FROM projects_project WHERE id = '{id}' FOR UPDATE; \
                 DELETE FROM projects_schoolproject WHERE project_id = '{id}'; \
                 DELETE FROM projects_project WHERE id = '{id}'"
            ),
        }
    }

    /// Whether project 2 has its row before the chunk comes.
    fn finds_a_row(self) -> bool {
        matches!(self, Self::Update | Self::Publish)
    }

    fn scope(self) -> Scope {
        // A draft is only locked by a run that covers drafts.
        if self == Self::Publish { Scope::All } else { Scope::NonDraft }
    }

    /// What the chunk must count, whether the writer was before it or comes after it.
    fn expected(self, writer_first: bool) -> Totals {
        let created = |school| PerKind { school, self_study: 0 };
        let equal = |school, self_study| PerKind { school, self_study };
        let (locked, created, equal) = match (self, writer_first) {
            (Self::Update | Self::Publish, _) => (3, created(1), equal(1, 1)),
            (Self::ChangeType, true) => (3, created(1), equal(0, 2)),
            (Self::Delete, true) => (2, created(1), equal(0, 1)),
            (Self::ChangeType | Self::Delete, false) => (3, created(2), equal(0, 1)),
        };
        Totals { locked, created, equal, ..Totals::default() }
    }
}

/// A school project without a row, project 2, and a self-study project with its row.
fn set_up(database: &TestDatabase, write: Write, writer: Writer) {
    migrate(database);
    insert_project(database, 1, "school", false);
    insert_project(database, 2, "school", write == Write::Publish);
    insert_project(database, 3, "self_study", false);
    if write.finds_a_row() {
        database.execute(&format!(
            "INSERT INTO projects_schoolproject VALUES ('{}', 'course 2', 'code 2', '')",
            id(2)
        ));
    }
    database.execute(&format!("INSERT INTO projects_selfstudyproject VALUES ('{}', 'goal 3', '')", id(3)));
    if writer == Writer::LegacyOnly {
        installed(database);
    }
}

/// Runs a backfill with the writer at `step`, and says all that is wrong with how it ended.
fn interleave(by: Writer, write: Write, step: Step, sabotage: Sabotage) -> Vec<String> {
    let database = Arc::new(TestDatabase::postgres());
    set_up(&database, write, by);
    let writer = Arc::new(Mutex::new(Session::open(&database, "writer")));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let (once, at_step) = (AtomicBool::new(true), Arc::clone(&database));
    let (session, complaints) = (Arc::clone(&writer), Arc::clone(&wrong));
    let before = step == Step::Lock;
    let controller = Arc::new(Mutex::new(None));
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let controlled = Arc::clone(&controller);
    let commits = Arc::new(AtomicU32::new(0));
    let committing = Arc::clone(&commits);
    let hook = move |at: Step| {
        if at == Step::Commit {
            committing.fetch_add(1, Ordering::SeqCst);
        }
        if at != step || !once.swap(false, Ordering::SeqCst) {
            return;
        }
        let transaction = write.sql(by);
        if before {
            // The writer has done its work and holds its locks; it commits once the chunk waits for it.
            session.lock().unwrap().run(&format!("BEGIN; {transaction}"));
            let (database, session) = (Arc::clone(&at_step), Arc::clone(&session));
            let over = Arc::clone(&is_over);
            *controlled.lock().unwrap() = Some(std::thread::spawn(move || {
                let waited = comes_to_wait(&database, "test backfill", || over.load(Ordering::SeqCst));
                session.lock().unwrap().run("COMMIT");
                waited
            }));
        } else {
            let session = session.lock().unwrap();
            session.start(&format!("BEGIN; {transaction}; COMMIT"));
            if !session.comes_to_wait(&at_step) {
                complaints.lock().unwrap().push("the writer did not wait for the chunk".to_owned());
            }
        }
    };
    let mut config = config(10, write.scope());
    config.probe = Probe::new(hook).with_sabotage(sabotage);
    let ended = run(&database, &config);
    over.store(true, Ordering::SeqCst);
    let controlling = controller.lock().unwrap().take();
    match controlling {
        Some(thread) => drop(thread.join().unwrap()),
        None => writer.lock().unwrap().finish().unwrap_or_else(|e| panic!("the writer failed: {e}")),
    }
    let mut wrong = std::mem::take(&mut *wrong.lock().unwrap());
    match ended {
        Ok(done) => {
            let expected = write.expected(before);
            if done.ending != Ending::Complete || done.totals != expected {
                wrong.push(format!("expected {expected:?}, found {done:?}"));
            }
        }
        Err(error) => wrong.push(format!("the run failed: {error}")),
    }
    wrong.extend(wrong_rows(&database));
    // The engine finds its way after a COMMIT that the server refuses; under the lock there is none.
    let commits = commits.load(Ordering::SeqCst);
    if commits != 1 {
        wrong.push(format!("the chunk came to its COMMIT {commits} times"));
    }
    wrong
}

/// Everything that is wrong between the two sides, one line a project.
fn wrong_rows(database: &TestDatabase) -> Vec<String> {
    let lines = database.column(
        "line",
        "FROM (SELECT concat(p.id, ' ', p.project_type, ' ', s.course_name, ' ', t.goal_description) AS line \
               FROM projects_project p LEFT JOIN projects_schoolproject s ON s.project_id = p.id \
               LEFT JOIN projects_selfstudyproject t ON t.project_id = p.id \
               WHERE (p.project_type = 'school') IS DISTINCT FROM (s.project_id IS NOT NULL) \
                  OR (p.project_type = 'self_study') IS DISTINCT FROM (t.project_id IS NOT NULL) \
                  OR (s.project_id IS NOT NULL AND s.course_name <> COALESCE(p.course_name, '')) \
                  OR (t.project_id IS NOT NULL AND t.goal_description <> COALESCE(p.goal_description, ''))) bad",
    );
    lines.into_iter().flatten().collect()
}

macro_rules! cases {
    ($($case:ident: $write:ident at $step:ident needs $sabotage:ident;)+) => { $(
        #[test]
        fn $case() {
            right_and_wrong(Writer::Service, Write::$write, Step::$step, Sabotage::$sabotage);
        }
    )+

    /// The same by a writer that knows nothing of subtype rows.
    mod with_sync_triggers {
        use super::*;
        $(
            #[test]
            fn $case() {
                right_and_wrong(Writer::LegacyOnly, Write::$write, Step::$step, Sabotage::$sabotage);
            }
        )+
    } };
}

fn right_and_wrong(by: Writer, write: Write, step: Step, sabotage: Sabotage) {
    assert_eq!(interleave(by, write, step, Sabotage::None), Vec::<String>::new());
    let wrong = interleave(by, write, step, sabotage);
    assert_ne!(wrong, Vec::<String>::new(), "it ends right without it, so it shows nothing");
}

cases! {
    update_before_the_lock: Update at Lock needs SecondLook;
    update_before_the_look: Update at Look needs Lock;
    update_before_the_record: Update at Record needs Lock;
    update_before_the_commit: Update at Commit needs Lock;
    change_of_type_before_the_lock: ChangeType at Lock needs Lock;
    change_of_type_before_the_look: ChangeType at Look needs Lock;
    change_of_type_before_the_record: ChangeType at Record needs Lock;
    change_of_type_before_the_commit: ChangeType at Commit needs Lock;
    delete_before_the_lock: Delete at Lock needs Lock;
    delete_before_the_look: Delete at Look needs Lock;
    delete_before_the_record: Delete at Record needs Lock;
    delete_before_the_commit: Delete at Commit needs Lock;
    publish_before_the_lock: Publish at Lock needs SecondLook;
    publish_before_the_look: Publish at Look needs Lock;
    publish_before_the_record: Publish at Record needs Lock;
    publish_before_the_commit: Publish at Commit needs Lock;
}

/// A run that does not cover drafts does not see one that is being published; the writer makes its row, and if it
/// does not, the catch-up sweep does.
#[test]
fn a_draft_published_without_a_row_is_caught_up_with() {
    let database = Arc::new(TestDatabase::postgres());
    set_up(&database, Write::Publish, Writer::Service);
    database.execute(&format!("DELETE FROM projects_schoolproject WHERE project_id = '{}'", id(2)));
    let at_step = Arc::clone(&database);
    let mut config = config(10, Scope::NonDraft);
    let once = AtomicBool::new(true);
    config.probe = Probe::new(move |step| {
        if step == Step::Commit && once.swap(false, Ordering::SeqCst) {
            let publish = "UPDATE projects_project SET is_draft = false WHERE id = ";
            at_step.execute(&format!("{publish}'{}'", id(2)));
        }
    });
    let done = run(&database, &config).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    assert_eq!(done.totals.created, PerKind { school: 2, self_study: 0 });
    assert_eq!(wrong_rows(&database), Vec::<String>::new());
}

/// A row that was there when the chunk left it out, and is gone under its locks, is made by the next try.
#[test]
fn a_row_that_goes_before_the_lock_is_made_again() {
    let database = Arc::new(TestDatabase::postgres());
    set_up(&database, Write::Update, Writer::Service);
    let at_step = Arc::clone(&database);
    let tries = Arc::new(AtomicU32::new(0));
    let tried = Arc::clone(&tries);
    let mut config = config(10, Scope::NonDraft);
    config.probe = Probe::new(move |step| {
        if step == Step::Lock && tried.fetch_add(1, Ordering::SeqCst) == 0 {
            at_step.execute(&format!("DELETE FROM projects_schoolproject WHERE project_id = '{}'", id(2)));
        }
    });
    let done = run(&database, &config).unwrap();
    assert_eq!(done.ending, Ending::Complete);
    let [created, equal] = [(2, 0), (0, 1)].map(|(school, self_study)| PerKind { school, self_study });
    assert_eq!(done.totals, Totals { locked: 3, created, equal, ..Totals::default() });
    assert_eq!(tries.load(Ordering::SeqCst), 2);
    assert_eq!(wrong_rows(&database), Vec::<String>::new());
}

/// Few rows are left out by their key, many are left to the database: what a chunk counts is the same.
#[test]
fn few_rows_and_many_are_counted_alike() {
    for there in [3, 500, 501, 700] {
        let database = TestDatabase::postgres();
        migrate(&database);
        database.execute(&format!(
            "INSERT INTO projects_project (id, name, project_type, is_draft, course_name, course_code, teacher_name, \
                created_at, updated_at, owner_id) \
             SELECT md5(n::text)::uuid, 'p', CASE WHEN n % 7 = 0 THEN 'other' ELSE 'school' END, false, 'c', 'd', 't', \
                now(), now(), 1 FROM generate_series(1, 1000) n; \
             INSERT INTO projects_schoolproject SELECT id, CASE WHEN row_number() OVER (ORDER BY id) = 1 THEN 'drifted' \
                 ELSE 'c' END, 'd', 't' FROM projects_project WHERE project_type = 'school' ORDER BY id LIMIT {there}; \
             INSERT INTO projects_selfstudyproject SELECT id, 'wrong kind', '' FROM projects_project \
                 WHERE project_type = 'school' ORDER BY id DESC LIMIT 2"
        ));
        let done = run(&database, &config(1000, Scope::NonDraft)).unwrap();
        let school = |school| PerKind { school, self_study: 0 };
        let expected = Totals {
            locked: 1000,
            created: school(858 - there),
            equal: school(there - 1),
            conflict: school(1),
            unknown: 142,
            ..Totals::default()
        };
        assert_eq!(done.totals, expected, "{there} rows were there");
        assert_eq!(database.count("projects_schoolproject"), 858);
    }
}
