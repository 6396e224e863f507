//! The whole way on the database that a Django application made, with the three binaries as their user runs them:
//! adopt, count, dry run, backfill, verify, repair, backfill the drafts, verify. After each step every count and
//! digest is held against what came with the database; between the steps the application works under a role that owns
//! nothing. What is the application's own is untouched at the end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use sti_core::db::sql_types::Integer;
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::repository::{
    NewDetails, NewProject, ProjectPatch, SchoolDetails, SchoolPatch, SelfStudyPatch, TypeChange,
};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectRepository, WriteMode};

sti_core::both_backends! { django: from_adoption_to_a_clean_verification }

const LEGACY: [&str; 5] =
    ["course_name", "course_code", "teacher_name", "goal_description", "study_frequency"];
const OTHER_COLUMNS: [&str; 9] = [
    "name",
    "project_type",
    "owner_id",
    "start_date",
    "end_date",
    "is_draft",
    "created_at",
    "updated_at",
    "syllabus",
];

/// The folder of the binaries, built by this test so that they are those of this tree.
fn binaries() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/PROFILE/deps/django-… -> target/PROFILE
        let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the binaries do not build");
        folder
    })
}

fn run(database: &TestDatabase, binary: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binaries().join(binary));
    command.args(arguments).args(["--format", "json", "--database-url", database.url()]);
    command.env_remove("DATABASE_URL").env("ENABLE_STI", "true").output().unwrap()
}

/// The report of a command that must end with `exit`.
fn report(database: &TestDatabase, binary: &str, arguments: &[&str], exit: i32) -> Value {
    let output = run(database, binary, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{binary} {arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn at(value: &Value, path: &str) -> i64 {
    value.pointer(path).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// What came with the database.
fn expected() -> Value {
    let path = TestDatabase::django_folder().join("django-10k.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Digests of what no command may change.
fn untouched(database: &TestDatabase) -> Vec<String> {
    let tables: [(&str, &str, &[&str]); 4] = [
        ("projects_project", "id", &OTHER_COLUMNS),
        ("projects_project", "id", &LEGACY),
        ("projects_importantdate", "id", &["title", "date", "project_id"]),
        ("auth_user", "id", &["username", "email", "is_active"]),
    ];
    tables.map(|(table, id, columns)| database.digest(table, id, columns).to_string()).to_vec()
}

/// The application in dual mode: it makes a project, changes it, changes its type and deletes it, under its own role.
fn the_application_works(database: &TestDatabase) {
    let url = DatabaseUrl::parse(&database.application_role()).unwrap();
    let mut connection = connect(&url, Access::Write, "application").unwrap();
    let projects = ProjectRepository::open(&mut connection, WriteMode::Dual).unwrap();
    let owner = database.value("SELECT min(id) FROM auth_user").parse().unwrap();
    let details = SchoolDetails { course_name: "Zoölogie".to_owned(), ..SchoolDetails::default() };
    let new = NewProject::draft("between two steps", Integer(owner), NewDetails::School(details));
    let made = projects.create(&mut connection, &new).unwrap();
    let id = made.project.id;
    let publish = ProjectPatch { is_draft: Some(false), ..ProjectPatch::default() };
    assert_eq!(projects.update(&mut connection, id, &publish).unwrap().details, made.details);
    let study = SelfStudyPatch { study_frequency: Some("daily".to_owned()), ..SelfStudyPatch::default() };
    projects.change_type(&mut connection, id, &TypeChange::SelfStudy(study)).unwrap();
    let row = format!("projects_selfstudyproject WHERE project_id = '{}'", id.hex());
    assert_eq!(database.count(&row), 1);
    projects.change_type(&mut connection, id, &TypeChange::School(SchoolPatch::default())).unwrap();
    assert_eq!(database.count(&row), 0);
    projects.delete(&mut connection, id).unwrap();
}

fn row_digests(database: &TestDatabase) -> [String; 2] {
    [("projects_schoolproject", &LEGACY[..3]), ("projects_selfstudyproject", &LEGACY[3..])]
        .map(|(table, columns)| database.digest(table, "project_id", columns).to_string())
}

fn from_adoption_to_a_clean_verification(database: &TestDatabase) {
    let expected = expected();
    let before = untouched(database);
    let digest = |name: &str| expected["digests"][name]["digest"].as_str().unwrap().to_owned();
    assert_eq!(before[1], digest("legacy"));

    report(database, "sti-migrate", &["up"], 0);
    assert_eq!(untouched(database), before, "sti-migrate up");
    assert_eq!(row_digests(database), [digest("school"), digest("self_study")]);
    database.grant_application(&["projects_project", "projects_schoolproject", "projects_selfstudyproject"]);
    the_application_works(database);

    let counts = report(database, "sti", &["counts"], 0);
    for (ours, theirs) in [("school", "school"), ("self_study", "self_study")] {
        for state in ["nondraft", "draft"] {
            let here = state.replace("nondraft", "non_draft");
            assert_eq!(
                at(&counts, &format!("/projects/{ours}/{here}")),
                at(&expected, &format!("/by_type/{theirs}/{state}"))
            );
        }
    }
    assert_eq!(at(&counts, "/projects/unknown/non_draft"), at(&expected, "/unknown_type/nondraft"));
    assert_eq!(at(&counts, "/projects/unknown/draft"), at(&expected, "/unknown_type/draft"));
    assert_eq!(at(&counts, "/subtype_rows/school"), at(&expected, "/school_rows"));
    assert_eq!(at(&counts, "/subtype_rows/self_study"), at(&expected, "/self_study_rows"));
    assert_eq!(at(&counts, "/plan_coverage/part"), at(&expected, "/seed_guard/children"));
    assert_eq!(at(&counts, "/plan_coverage/whole"), at(&expected, "/seed_guard/projects"));

    let dry = report(database, "sti", &["backfill", "--dry-run"], 0);
    assert_eq!(row_digests(database), [digest("school"), digest("self_study")], "a dry run writes nothing");
    assert_eq!(database.count("sti_backfill_run"), 0);

    let live = report(database, "sti", &["backfill", "--chunk", "700"], 1);
    assert_eq!(live["totals"], dry["totals"]);
    assert_eq!(at(&live, "/totals/locked"), at(&expected, "/projects/nondraft"));
    for kind in ["school", "self_study"] {
        let of = |outcome: &str| at(&live, &format!("/totals/{outcome}/{kind}"));
        assert_eq!(of("created"), at(&expected, &format!("/missing/{kind}/nondraft")));
        assert_eq!(of("conflict"), at(&expected, &format!("/drift/{kind}/nondraft")));
    }
    assert_eq!(row_digests(database), [digest("school_after_backfill"), digest("self_study_after_backfill")]);
    assert_eq!(untouched(database), before, "sti backfill");
    the_application_works(database);

    let found = report(database, "sti-verify", &["--sample", "0"], 1);
    let class = |report: &Value, name: &str| at(report, &format!("/findings/{name}/total"));
    assert_eq!(class(&found, "missing"), 0);
    assert_eq!(class(&found, "missing_draft"), at(&expected, "/missing_with_data/draft"));
    assert_eq!(class(&found, "wrong_kind") + class(&found, "both_kinds"), at(&expected, "/wrong_type_child"));
    assert_eq!(
        class(&found, "drift"),
        ["school", "self_study"]
            .map(|kind| at(&expected, &format!("/drift/{kind}/nondraft")))
            .iter()
            .sum::<i64>()
    );
    let notice = |name: &str| at(&found, &format!("/notices/{name}/total"));
    assert_eq!(notice("stray_value"), at(&expected, "/stray/school") + at(&expected, "/stray/self_study"));
    assert_eq!(
        notice("unknown_type"),
        at(&expected, "/unknown_type/nondraft") + at(&expected, "/unknown_type/draft")
    );

    let repair = ["--repair", "--from", "legacy", "--sample", "0"];
    let plan = report(database, "sti-verify", &repair, 0);
    assert_eq!(database.count("sti_repair_log"), 0, "a plan writes nothing");
    let confirm = plan["digest"].as_str().unwrap();
    let wrong =
        run(database, "sti-verify", &[&repair[..], &["--execute", "--confirm", "000000000000"]].concat());
    assert_eq!(wrong.status.code(), Some(1), "another digest is refused");
    assert_eq!(database.count("sti_repair_log"), 0);
    let execute = [&repair[..], &["--execute", "--confirm", confirm]].concat();
    report(database, "sti-verify", &execute, 0);
    assert_eq!(untouched(database), before, "sti-verify --repair");
    the_application_works(database);

    let drafts = report(database, "sti", &["backfill", "--include-drafts"], 0);
    assert_eq!(at(&drafts, "/totals/locked"), at(&expected, "/projects/total"));
    assert_eq!(at(&drafts, "/totals/conflict/school") + at(&drafts, "/totals/conflict/self_study"), 0);

    let clean = report(database, "sti-verify", &[], 0);
    assert_eq!(clean["clean"], true);
    let known = |kind: &str| {
        at(&expected, &format!("/by_type/{kind}/nondraft")) + at(&expected, &format!("/by_type/{kind}/draft"))
    };
    assert_eq!(database.count("projects_schoolproject"), known("school"));
    assert_eq!(database.count("projects_selfstudyproject"), known("self_study"));
    assert_eq!(untouched(database), before, "at the end");
    the_application_works(database);
}
