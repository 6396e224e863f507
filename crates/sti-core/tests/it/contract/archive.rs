//! Archive and drop: every value, of every row, however awkward.

use sti_core::both_backends;
use sti_core::contract::{Answer, DropEvent, Rehearsal, events};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::probe::Step;
use sti_core::test_support::TestDatabase;

use super::rig::{
    LEGACY, columns_left, dropped, everything, open, options, planned, ready, recorder, rehearsed, waiving,
};
use crate::verify::rig::{NOTHING, draft, id, migrate, project, row};

both_backends! {
    awkward_rows_are_kept,
    the_event_says_what_was_done,
    the_drop_goes_by_its_steps,
    a_rehearsal_does_it_all_and_leaves_nothing,
    a_rehearsal_and_then_the_drop,
}
both_backends! { django: the_django_database_is_archived_and_dropped }

const ARCHIVED: [&str; 8] = [
    "project_type",
    "course_name",
    "course_code",
    "teacher_name",
    "goal_description",
    "study_frequency",
    "has_school",
    "has_self_study",
];

/// Rows that a careless copy would change: NULL beside '', spaces, quotes, Unicode that looks alike, long texts.
fn awkward(database: &TestDatabase) {
    migrate(database);
    let long = "x".repeat(100_000);
    let whale = "\u{1f40b} e\u{301} \u{e9} \u{200b}\u{feff}";
    let school: [[Option<&str>; 5]; 7] = [
        [Some(""), None, Some(""), None, None],
        [None, None, None, None, None],
        [Some("  a\t\n"), Some("'; DROP TABLE x; --"), Some("\"\\%_"), None, None],
        [Some(whale), Some("NULL"), Some("null"), None, None],
        [Some("a"), None, Some("b"), Some("stray"), None],
        [Some("a"), None, None, Some(""), Some("")],
        [Some("A"), Some("a"), Some("\u{1}\u{7f}"), None, None],
    ];
    for (number, legacy) in (1..).zip(school) {
        let of_row: Vec<&str> = legacy[..3].iter().map(|value| value.unwrap_or("")).collect();
        project(database, number, "school", legacy);
        row(database, number, School, &of_row);
    }
    project(database, 20, "self_study", [None, None, None, Some(&long), Some("daily")]);
    row(database, 20, SelfStudy, &[&long, "daily"]);
    draft(database, 21, "self_study", NOTHING);
    draft(database, 22, "self_study", [Some(""), None, Some("stray"), None, Some("d")]);
    row(database, 22, SelfStudy, &["", "d"]);
    project(database, 30, "SCHOOL", [Some("kept"), None, Some(""), None, Some("kept too")]);
    draft(database, 31, "", [Some("nameless"), None, None, None, None]);
}

fn awkward_rows_are_kept(database: &TestDatabase) {
    awkward(database);
    let legacy = database.digest("projects_project", "id", &[&["project_type"], &LEGACY[..]].concat());
    let schools = database.digest("projects_schoolproject", "project_id", &LEGACY[..3]);
    let self_studies = database.digest("projects_selfstudyproject", "project_id", &LEGACY[3..]);
    let options = waiving(&["stray-values=2", "unknown-type=2"]);
    let done = dropped(database, &options);
    assert_eq!((done.archived, done.answer, columns_left(database)), (12, Answer::Commit, 0));

    let of_event = format!("sti_legacy_archive WHERE event_id = {}", done.event);
    let archived =
        |columns: &[&str], and: &str| database.digest(&format!("{of_event}{and}"), "project_id", columns);
    assert_eq!(archived(&ARCHIVED[..6], ""), legacy);
    let school = ["school_course_name", "school_course_code", "school_teacher_name"];
    assert_eq!(archived(&school, " AND has_school"), schools);
    let self_study = ["self_study_goal_description", "self_study_study_frequency"];
    assert_eq!(archived(&self_study, " AND has_self_study"), self_studies);
    // The subtype rows themselves are as they were.
    assert_eq!(database.digest("projects_schoolproject", "project_id", &LEGACY[..3]), schools);
    let no_row = "AND has_school = false AND school_course_name IS NULL AND school_teacher_name IS NULL";
    assert_eq!(database.count(&format!("{of_event} {no_row} AND project_id = '{}'", id(31).hex())), 1);
}

fn the_event_says_what_was_done(database: &TestDatabase) {
    ready(database);
    let plan = planned(database, &options());
    let done = dropped(database, &options());
    let events = events(&mut open(database)).unwrap();
    let [DropEvent { id, digest, archived, lock_ms, definitions, tool_version, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*id, *archived), (done.event, Some(4)));
    assert_eq!((digest, tool_version.as_str()), (&Some(plan.digest.clone()), env!("CARGO_PKG_VERSION")));
    assert!(lock_ms.is_some_and(|ms| ms >= 0));
    assert_eq!(
        (events[0].restored_at, events[0].restore_began_at, events[0].finished_at),
        (None, None, None)
    );
    let definitions: sti_core::db::catalog::Definitions =
        serde_json::from_str(definitions.as_ref().unwrap()).unwrap();
    assert_eq!(definitions.statements("projects_project"), plan.definitions);
    assert!(plan.definitions[0].contains("ADD COLUMN"), "{:?}", plan.definitions);
    assert_eq!(database.count("sti_drop_permit"), 0);
    assert_eq!(database.count("__diesel_schema_migrations WHERE version = '00000000000901'"), 1);
}

fn the_drop_goes_by_its_steps(database: &TestDatabase) {
    ready(database);
    let (probe, steps) = recorder();
    let mut options = options();
    options.probe = probe;
    dropped(database, &options);
    assert_eq!(*steps.lock().unwrap(), super::rig::steps(database));
}

fn a_rehearsal_does_it_all_and_leaves_nothing(database: &TestDatabase) {
    ready(database);
    let before = everything(database);
    let (probe, steps) = recorder();
    let mut options = options();
    options.probe = probe;
    let Rehearsal::Rehearsed { plan, archived, held, attempts } = rehearsed(database, &options) else {
        panic!("not rehearsed")
    };
    assert_eq!((archived, attempts, plan.is_open()), (4, 1, true));
    assert!(held > std::time::Duration::ZERO);
    let mut all = super::rig::steps(database).to_vec();
    assert_eq!(all.pop(), Some(Step::Commit), "everything but COMMIT");
    all.extend((database.backend_name() == "postgres").then_some(Step::CleanUp));
    assert_eq!(*steps.lock().unwrap(), all);
    assert_eq!((columns_left(database), everything(database)), (5, before));
    assert_eq!(sti_core::expand::misfits(&mut open(database)).unwrap(), []);
}

fn a_rehearsal_and_then_the_drop(database: &TestDatabase) {
    ready(database);
    let digest = planned(database, &options()).digest;
    assert!(matches!(rehearsed(database, &options()), Rehearsal::Rehearsed { .. }));
    let done = super::rig::drop_with(database.url(), &options(), &digest).unwrap();
    assert!(matches!(done, sti_core::contract::Outcome::Done(_)), "{done:?}");
}

/// As it is after backfill and repair; what no subtype row can hold is waived by its number.
fn the_django_database_is_archived_and_dropped(database: &TestDatabase) {
    migrate(database);
    super::rig::bring_level(database);
    let refused = planned(database, &options());
    let waivers: Vec<String> =
        refused.shut().map(|result| format!("{}={}", result.gate, result.found)).collect();
    assert_eq!(waivers.len(), 2, "{:#?}", refused.gates);
    let waivers: Vec<&str> = waivers.iter().map(String::as_str).collect();
    let legacy = database.digest("projects_project", "id", &LEGACY);
    let done = dropped(database, &waiving(&waivers));
    assert_eq!(done.archived, database.count("projects_project"));
    assert_eq!(database.digest("sti_legacy_archive", "project_id", &LEGACY), legacy);
    assert_eq!(columns_left(database), 0);
}
