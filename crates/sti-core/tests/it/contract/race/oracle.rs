//! What must be true after a drop, by plain SQL, and by a record of its own that the test keeps.

use sti_core::contract::{DropPlan, Outcome, Refusal};
use sti_core::models::ProjectId;
use sti_core::test_support::TestDatabase;

use crate::contract::rig::{LEGACY, columns_left, nothing_is_left, ready};

/// A database that is ready, writable for the application, and keeps every version of the projects beside. The
/// function names no column, so that no gate takes it for something that depends on them.
pub(super) fn watched() -> TestDatabase {
    let database = TestDatabase::postgres();
    ready(&database);
    database.grant_application(&["projects_project", "projects_schoolproject", "projects_selfstudyproject"]);
    database.execute(
        "CREATE TABLE kept (id uuid PRIMARY KEY, project jsonb NOT NULL); \
         INSERT INTO kept SELECT id, to_jsonb(p) FROM projects_project p; \
         CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
            IF TG_OP <> 'INSERT' THEN DELETE FROM public.kept WHERE id = OLD.id; END IF; \
            IF TG_OP <> 'DELETE' THEN INSERT INTO public.kept VALUES (NEW.id, to_jsonb(NEW)); END IF; \
            RETURN NULL; END $$; \
         CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON projects_project \
            FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    database
}

/// What is not as it must be after the drop of `event`; empty if nothing is lost.
pub(super) fn lost(database: &TestDatabase, event: i64) -> Vec<String> {
    let mut lost = Vec::new();
    let mut none = |what: &str, from: &str| {
        let count = database.count(from);
        if count > 0 {
            lost.push(format!("{count} {what}"));
        }
    };
    let archive = format!("(SELECT * FROM sti_legacy_archive WHERE event_id = {event}) a");
    let same = LEGACY
        .map(|column| format!("k.project ->> '{column}' IS NOT DISTINCT FROM a.{column}"))
        .join(" AND ");
    none(
        "projects whose last legacy values are not in the archive",
        &format!(
            "kept k JOIN projects_project p ON p.id = k.id LEFT JOIN {archive} ON a.project_id = k.id \
             WHERE a.project_id IS NULL OR a.project_type <> k.project ->> 'project_type' OR NOT ({same})"
        ),
    );
    none(
        "archived projects that are gone",
        &format!("{archive} WHERE NOT EXISTS (SELECT 1 FROM projects_project p WHERE p.id = a.project_id)"),
    );
    none(
        "projects of a known type without their row",
        "projects_project p JOIN kept k ON k.id = p.id WHERE p.project_type IN ('school', 'self_study') \
         AND NOT EXISTS (SELECT 1 FROM projects_schoolproject s \
                         WHERE s.project_id = p.id AND p.project_type = 'school') \
         AND NOT EXISTS (SELECT 1 FROM projects_selfstudyproject s \
                         WHERE s.project_id = p.id AND p.project_type = 'self_study') \
         AND NOT (p.is_draft AND COALESCE(k.project ->> 'course_name', k.project ->> 'course_code', \
             k.project ->> 'teacher_name', k.project ->> 'goal_description', k.project ->> 'study_frequency') \
             IS NULL)",
    );
    none(
        "archived subtype rows that were not as they are",
        &format!(
            "{archive} LEFT JOIN projects_schoolproject s ON s.project_id = a.project_id \
             LEFT JOIN projects_selfstudyproject f ON f.project_id = a.project_id \
             WHERE (s.course_name, s.course_code, s.teacher_name, f.goal_description, f.study_frequency) \
                IS DISTINCT FROM (a.school_course_name, a.school_course_code, a.school_teacher_name, \
                a.self_study_goal_description, a.self_study_study_frequency)"
        ),
    );
    lost
}

/// The drop was made, and nothing is lost or left over.
#[track_caller]
pub(super) fn made(database: &TestDatabase, outcome: &Outcome, context: &str) {
    let Outcome::Done(done) = outcome else { panic!("{context}: {outcome:?}") };
    assert_eq!(columns_left(database), 0, "{context}");
    assert_eq!(lost(database, done.event), Vec::<String>::new(), "{context}");
    assert_eq!(done.archived, database.count("projects_project"), "{context}");
    nothing_is_left(database);
}

/// The drop was refused, for this project, and nothing is left of it.
#[track_caller]
pub(super) fn refused(database: &TestDatabase, outcome: &Outcome, id: ProjectId, context: &str) {
    let Outcome::Refused { plan, why } = outcome else { panic!("{context}: {outcome:?}") };
    assert!(matches!(why, Refusal::GatesMeanwhile | Refusal::GatesUnderLock), "{context}: {why:?}");
    assert!(names(plan, id), "{context}: {id} is not named in {:#?}", plan.gates);
    assert_eq!((columns_left(database), database.count("sti_drop_event")), (5, 0), "{context}");
    nothing_is_left(database);
}

fn names(plan: &DropPlan, id: ProjectId) -> bool {
    plan.shut().any(|gate| gate.ids.contains(&id))
}
