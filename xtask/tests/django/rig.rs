//! The binaries, the application, and what neither may change.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use sti_core::db::sql_types::Integer;
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::repository::{
    NewDetails, NewProject, ProjectPatch, SchoolDetails, SchoolPatch, SelfStudyPatch, TypeChange,
};
use sti_core::test_support::{self, TestDatabase};
use sti_core::{ProjectRepository, WriteMode};

pub(crate) const LEGACY: [&str; 5] =
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

pub(crate) fn run(database: &TestDatabase, program: &str, arguments: &[&str]) -> Output {
    let mut command = test_support::binary(binaries().join(program).to_str().unwrap(), arguments);
    command.args(["--format", "json", "--database-url", database.url()]).env("ENABLE_STI", "true");
    command.output().unwrap()
}

/// The report of a command that must end with `exit`.
#[track_caller]
pub(crate) fn report(database: &TestDatabase, program: &str, arguments: &[&str], exit: i32) -> Value {
    test_support::report(&run(database, program, arguments), exit)
}

pub(crate) fn at(value: &Value, path: &str) -> i64 {
    value.pointer(path).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// What came with the database.
pub(crate) fn expected() -> Value {
    let path = TestDatabase::django_folder().join("django-10k.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Digests of what no command may change while the legacy columns are there.
pub(crate) fn untouched(database: &TestDatabase) -> Vec<String> {
    let mut all = others_untouched(database);
    all.insert(1, legacy_digest(database));
    all
}

/// Digests of what no command may ever change.
pub(crate) fn others_untouched(database: &TestDatabase) -> Vec<String> {
    let tables: [(&str, &[&str]); 3] = [
        ("projects_project", &OTHER_COLUMNS),
        ("projects_importantdate", &["title", "date", "project_id"]),
        ("auth_user", &["username", "email", "is_active"]),
    ];
    tables.map(|(table, columns)| database.digest(table, "id", columns).to_string()).to_vec()
}

pub(crate) fn legacy_digest(database: &TestDatabase) -> String {
    database.digest("projects_project", "id", &LEGACY).to_string()
}

pub(crate) fn the_application_works(database: &TestDatabase) {
    the_application_works_in(database, WriteMode::Dual);
}

/// The application begins to work in a mode that has nothing to work on.
pub(crate) fn the_application_cannot_start(database: &TestDatabase, mode: WriteMode) {
    let url = DatabaseUrl::parse(&database.application_role()).unwrap();
    let mut connection = connect(&url, Access::Write, "application").unwrap();
    assert!(ProjectRepository::open(&mut connection, mode).is_err());
}

/// The application in this mode: it makes a project, changes it, changes its type and deletes it, under its own role.
pub(crate) fn the_application_works_in(database: &TestDatabase, mode: WriteMode) {
    let url = DatabaseUrl::parse(&database.application_role()).unwrap();
    let mut connection = connect(&url, Access::Write, "application").unwrap();
    let projects = ProjectRepository::open(&mut connection, mode).unwrap();
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

pub(crate) fn row_digests(database: &TestDatabase) -> [String; 2] {
    [("projects_schoolproject", &LEGACY[..3]), ("projects_selfstudyproject", &LEGACY[3..])]
        .map(|(table, columns)| database.digest(table, "project_id", columns).to_string())
}
