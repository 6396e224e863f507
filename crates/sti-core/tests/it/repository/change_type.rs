//! Changing a project's type.

use sti_core::models::{Kind, ProjectType};
use sti_core::repository::{Referrer, RepositoryError, SchoolPatch, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{WriteMode, both_backends};

use super::rig::{
    MODES, add_pointers, details_of, drop_legacy, id, insert, insert_row, legacy, migrate, open, row, start,
    texts, values,
};

both_backends! {
    legacy_mode_changes_the_legacy_columns_only,
    both_sides_follow,
    what_is_not_given_keeps_what_the_new_columns_hold,
    to_an_unknown_type_and_back,
    to_the_same_type_is_an_update,
    after_the_drop,
    a_row_of_the_new_kind_that_is_there_already,
    its_own_pointer_goes_with_the_row,
    a_pointer_at_another_row_stays,
    another_projects_pointer_is_refused,
    a_foreign_key_at_commit_is_a_typed_error,
    a_project_that_is_not_there,
}

fn to_self_study(goal: Option<&str>) -> TypeChange {
    let goal_description = goal.map(str::to_owned);
    TypeChange::SelfStudy(SelfStudyPatch { goal_description, ..SelfStudyPatch::default() })
}

fn to_school(course: Option<&str>) -> TypeChange {
    let course_name = course.map(str::to_owned);
    TypeChange::School(SchoolPatch { course_name, ..SchoolPatch::default() })
}

fn legacy_mode_changes_the_legacy_columns_only(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Legacy);
    insert(database, 1, "school", [Some("a"), Some("b"), None, None, Some("stray")]);
    insert_row(database, Kind::School, 1, &["a", "b", ""]);
    let record = repository.change_type(&mut connection, id(1), &to_self_study(Some("goal"))).unwrap();
    assert_eq!(record.project.project_type, ProjectType::SelfStudy);
    assert_eq!(details_of(&record), ["goal", "stray"]);
    assert_eq!(legacy(database, id(1)), values(&[None, None, None, Some("goal"), Some("stray")]));
    assert_eq!(
        row(database, Kind::School, id(1)),
        Some(texts(&["a", "b", ""])),
        "stale, as legacy mode leaves it"
    );
    assert_eq!(row(database, Kind::SelfStudy, id(1)), None);
}

fn both_sides_follow(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in [(1, WriteMode::Dual), (2, WriteMode::Subtype)] {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [Some("a"), Some("b"), Some("c"), None, None]);
        insert_row(database, Kind::School, number, &["a", "b", "c"]);
        let before = repository.get(&mut connection, id(number)).unwrap().project;

        let record =
            repository.change_type(&mut connection, id(number), &to_self_study(Some("goal"))).unwrap();
        assert_eq!(record.project.project_type, ProjectType::SelfStudy);
        assert_eq!(details_of(&record), ["goal", ""]);
        assert!(record.project.updated_at > before.updated_at);
        assert_eq!(legacy(database, id(number)), values(&[None, None, None, Some("goal"), None]));
        assert_eq!(row(database, Kind::School, id(number)), None);
        assert_eq!(row(database, Kind::SelfStudy, id(number)), Some(texts(&["goal", ""])));

        repository.change_type(&mut connection, id(number), &to_school(None)).unwrap();
        assert_eq!(legacy(database, id(number)), values(&[None; 5]));
        assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["", "", ""])));
        assert_eq!(row(database, Kind::SelfStudy, id(number)), None);
    }
}

fn what_is_not_given_keeps_what_the_new_columns_hold(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in [(1, WriteMode::Dual), (2, WriteMode::Subtype)] {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [Some("a"), None, None, Some("stray"), Some("daily")]);
        let record = repository.change_type(&mut connection, id(number), &to_self_study(None)).unwrap();
        assert_eq!(details_of(&record), ["stray", "daily"]);
        assert_eq!(row(database, Kind::SelfStudy, id(number)), Some(texts(&["stray", "daily"])));
        assert_eq!(legacy(database, id(number)), values(&[None, None, None, Some("stray"), Some("daily")]));
    }
}

fn to_an_unknown_type_and_back(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in (1..).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [Some("a"), Some("b"), Some("c"), None, None]);
        repository.change_type(&mut connection, id(number), &to_school(Some("n"))).unwrap();
        let club = TypeChange::Other("club".into());
        let record = repository.change_type(&mut connection, id(number), &club).unwrap();
        assert_eq!(record.project.project_type, ProjectType::Other("club".into()));
        assert_eq!(legacy(database, id(number)), values(&[None; 5]));
        assert_eq!(row(database, Kind::School, id(number)), None);

        let record = repository.change_type(&mut connection, id(number), &to_school(Some("again"))).unwrap();
        assert_eq!(details_of(&record), ["again", "", ""]);
        let expected = (mode != WriteMode::Legacy).then(|| texts(&["again", "", ""]));
        assert_eq!(row(database, Kind::School, id(number)), expected);
    }
}

fn to_the_same_type_is_an_update(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in [(1, WriteMode::Dual), (2, WriteMode::Subtype)] {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [Some("a"), None, Some("c"), None, None]);
        repository.change_type(&mut connection, id(number), &to_school(Some("new"))).unwrap();
        assert_eq!(legacy(database, id(number)), values(&[Some("new"), None, Some("c"), None, None]));
        assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["new", "", "c"])));
    }
    let (mut connection, repository) = open(database, WriteMode::Dual);
    insert(database, 3, "club", [Some("kept"); 5]);
    repository.change_type(&mut connection, id(3), &TypeChange::Other("club".into())).unwrap();
    assert_eq!(legacy(database, id(3)), values(&[Some("kept"); 5]));
}

fn after_the_drop(database: &TestDatabase) {
    migrate(database);
    for number in [1, 2] {
        insert(database, number, "school", [None; 5]);
        insert_row(database, Kind::School, number, &["a", "b", "c"]);
    }
    drop_legacy(database);
    for (number, mode) in [(1, WriteMode::Dual), (2, WriteMode::Subtype)] {
        let (mut connection, repository) = open(database, mode);
        let record =
            repository.change_type(&mut connection, id(number), &to_self_study(Some("goal"))).unwrap();
        assert_eq!(details_of(&record), ["goal", ""]);
        assert_eq!(row(database, Kind::School, id(number)), None);
        assert_eq!(row(database, Kind::SelfStudy, id(number)), Some(texts(&["goal", ""])));
        repository.change_type(&mut connection, id(number), &TypeChange::Other("club".into())).unwrap();
        assert_eq!(row(database, Kind::SelfStudy, id(number)), None);
    }
}

/// A project with rows of both kinds: the side that is read decides, as in every other write.
fn a_row_of_the_new_kind_that_is_there_already(database: &TestDatabase) {
    migrate(database);
    for (number, mode, expected) in
        [(1, WriteMode::Dual, ["goal", "legacy"]), (2, WriteMode::Subtype, ["goal", "row"])]
    {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [None, None, None, None, Some("legacy")]);
        insert_row(database, Kind::School, number, &["", "", ""]);
        insert_row(database, Kind::SelfStudy, number, &["row", "row"]);
        let record =
            repository.change_type(&mut connection, id(number), &to_self_study(Some("goal"))).unwrap();
        assert_eq!(details_of(&record), expected);
        assert_eq!(row(database, Kind::School, id(number)), None);
    }
}

fn point(database: &TestDatabase, from: u32, at: u32) {
    database.execute(&format!(
        "UPDATE projects_project SET school_project_id = '{}' WHERE id = '{}'",
        id(at).hex(),
        id(from).hex()
    ));
}

fn pointer(database: &TestDatabase, number: u32) -> String {
    database
        .value(&format!("SELECT school_project_id FROM projects_project WHERE id = '{}'", id(number).hex()))
}

/// Schools 1 and 2 with their rows, and the pointer columns.
fn two_schools(database: &TestDatabase) {
    migrate(database);
    add_pointers(database);
    for number in [1, 2] {
        insert(database, number, "school", [Some("a"), None, None, None, None]);
        insert_row(database, Kind::School, number, &["a", "", ""]);
    }
}

fn its_own_pointer_goes_with_the_row(database: &TestDatabase) {
    two_schools(database);
    for (number, mode) in [(1, WriteMode::Dual), (2, WriteMode::Subtype)] {
        point(database, number, number);
        let (mut connection, repository) = open(database, mode);
        repository.change_type(&mut connection, id(number), &to_self_study(None)).unwrap();
        assert_eq!(pointer(database, number), "NULL");
        assert_eq!(row(database, Kind::School, id(number)), None);
    }
}

fn a_pointer_at_another_row_stays(database: &TestDatabase) {
    two_schools(database);
    point(database, 1, 2);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let before = pointer(database, 1);
    repository.change_type(&mut connection, id(1), &to_self_study(None)).unwrap();
    assert_eq!(pointer(database, 1), before);
}

fn another_projects_pointer_is_refused(database: &TestDatabase) {
    two_schools(database);
    point(database, 2, 1);
    for mode in [WriteMode::Dual, WriteMode::Subtype] {
        let (mut connection, repository) = open(database, mode);
        let error = repository.change_type(&mut connection, id(1), &to_self_study(None)).unwrap_err();
        let message = error.to_string();
        let RepositoryError::Referenced { id: of, referrer } = error else { panic!("{error:?}") };
        assert_eq!(of, Some(id(1)));
        assert_eq!(referrer, Referrer::Projects { column: "school_project_id", ids: vec![id(2)] });
        assert!(
            message.contains(&format!("school_project_id of project {} points there", id(2))),
            "{message}"
        );
        assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["a", "", ""])));
        assert_eq!(legacy(database, id(1)), values(&[Some("a"), None, None, None, None]));
    }
    // The legacy side has no row that must go.
    let (mut connection, repository) = open(database, WriteMode::Legacy);
    repository.change_type(&mut connection, id(1), &to_self_study(None)).unwrap();
}

fn a_foreign_key_at_commit_is_a_typed_error(database: &TestDatabase) {
    two_schools(database);
    database.execute(&format!(
        "CREATE TABLE app_timetable (school_id {} REFERENCES projects_schoolproject (project_id) \
         DEFERRABLE INITIALLY DEFERRED); INSERT INTO app_timetable VALUES ('{}')",
        database.either("uuid", "char(32)"),
        id(1).hex()
    ));
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let error = repository.change_type(&mut connection, id(1), &to_self_study(None)).unwrap_err();
    let RepositoryError::Referenced { id: of, referrer: Referrer::ForeignKey { table, .. } } = error else {
        panic!("{error:?}")
    };
    assert_eq!(of, Some(id(1)));
    assert_eq!(table.is_some_and(|table| table == "app_timetable"), database.backend_name() == "postgres");
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["a", "", ""])));
    assert_eq!(row(database, Kind::SelfStudy, id(1)), None);
    // The connection is as good as before.
    repository.change_type(&mut connection, id(2), &to_self_study(None)).unwrap();
}

fn a_project_that_is_not_there(database: &TestDatabase) {
    migrate(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let error = repository.change_type(&mut connection, id(9), &to_school(None)).unwrap_err();
        assert!(matches!(error, RepositoryError::NotFound { id: missing } if missing == id(9)), "{error:?}");
    }
}
