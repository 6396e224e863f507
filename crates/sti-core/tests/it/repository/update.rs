//! Updates: what a patch touches, and what becomes of the other side.

use chrono::NaiveDate;
use sti_core::db::sql_types::Integer;
use sti_core::models::{Kind, ProjectType};
use sti_core::repository::{ProjectPatch, RepositoryError};
use sti_core::test_support::TestDatabase;
use sti_core::{WriteMode, both_backends};

use super::rig::{
    MODES, details_of, drop_legacy, goal, id, insert, insert_row, legacy, migrate, open, publish, row, start,
    teacher, texts, values,
};

both_backends! {
    a_patch_touches_only_its_fields,
    every_common_field_can_be_patched,
    legacy_mode_leaves_the_row_alone,
    dual_mode_makes_the_row_equal_whatever_the_patch_touches,
    dual_mode_makes_empty_fields_and_drafts_a_row,
    subtype_mode_keeps_what_the_row_says,
    subtype_mode_makes_a_missing_row_from_the_legacy_columns,
    after_the_drop_the_row_alone_is_written,
    a_patch_of_another_kind_is_refused,
    an_unknown_type_has_common_fields_only,
    a_project_that_is_not_there,
    a_failed_update_leaves_nothing_behind,
}

/// A project as its columns that no patch of this file means to touch.
fn rest(database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    let columns = ["id", "project_type", "owner_id", "start_date", "end_date", "created_at"];
    database.select(&columns, "FROM projects_project ORDER BY id")
}

fn a_patch_touches_only_its_fields(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in (1..).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [None, Some(""), Some("old"), Some("stray"), None]);
        let before = rest(database);
        let old = repository.get(&mut connection, id(number)).unwrap().project;

        let record = repository.update(&mut connection, id(number), &teacher("new")).unwrap();
        assert_eq!(
            legacy(database, id(number)),
            values(&[None, Some(""), Some("new"), Some("stray"), None]),
            "{mode}: an untouched NULL stays NULL, a stray value stays where it is"
        );
        assert_eq!(rest(database), before);
        assert_eq!(details_of(&record), ["", "", "new"]);
        assert_eq!((record.project.name, record.project.is_draft), (old.name, true));
        assert_eq!(record.project.created_at, old.created_at);
        assert!(record.project.updated_at > old.updated_at);
    }
}

fn every_common_field_can_be_patched(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in (1..).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        insert(database, number, "school", [Some("a"), Some("b"), Some("c"), None, None]);
        let day = NaiveDate::from_ymd_opt(2026, 1, 2);
        let patch = ProjectPatch {
            name: Some("Reefs".into()),
            owner_id: Some(Integer(5)),
            start_date: Some(day),
            end_date: Some(day),
            is_draft: Some(false),
            details: None,
        };
        repository.update(&mut connection, id(number), &patch).unwrap();
        let patch = ProjectPatch { end_date: Some(None), ..ProjectPatch::default() };
        let project = repository.update(&mut connection, id(number), &patch).unwrap().project;
        assert_eq!((project.name.as_str(), project.owner_id), ("Reefs", Integer(5)));
        assert_eq!((project.start_date, project.end_date, project.is_draft), (day, None, false));
    }
}

fn legacy_mode_leaves_the_row_alone(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Legacy);
    insert(database, 1, "school", [Some("a"); 5]);
    insert(database, 2, "school", [Some("a"); 5]);
    insert_row(database, Kind::School, 1, &["a", "a", "a"]);
    for number in [1, 2] {
        let record = repository.update(&mut connection, id(number), &teacher("new")).unwrap();
        assert_eq!(details_of(&record), ["a", "a", "new"]);
    }
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["a", "a", "a"])));
    assert_eq!(row(database, Kind::School, id(2)), None);
}

fn dual_mode_makes_the_row_equal_whatever_the_patch_touches(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    insert(database, 1, "school", [Some("legacy"), None, Some("legacy"), None, None]);
    insert(database, 2, "self_study", [None, None, None, Some("legacy"), None]);
    insert_row(database, Kind::School, 1, &["drift", "drift", "drift"]);

    repository.update(&mut connection, id(1), &teacher("new")).unwrap();
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["legacy", "", "new"])));
    let record = repository.update(&mut connection, id(2), &publish()).unwrap();
    assert_eq!(row(database, Kind::SelfStudy, id(2)), Some(texts(&["legacy", ""])));
    assert_eq!(details_of(&record), ["legacy", ""]);
    assert_eq!(row(database, Kind::School, id(2)), None);
    assert_eq!(row(database, Kind::SelfStudy, id(1)), None);
}

fn dual_mode_makes_empty_fields_and_drafts_a_row(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    insert(database, 1, "school", [None; 5]);
    insert(database, 2, "self_study", [None; 5]);
    for number in [1, 2] {
        let record = repository.update(&mut connection, id(number), &ProjectPatch::default()).unwrap();
        assert!(record.project.is_draft);
    }
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["", "", ""])));
    assert_eq!(row(database, Kind::SelfStudy, id(2)), Some(texts(&["", ""])));
}

fn subtype_mode_keeps_what_the_row_says(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Subtype);
    insert(database, 1, "school", [Some("legacy"), Some("legacy"), Some("legacy"), None, None]);
    insert_row(database, Kind::School, 1, &["row", "row", "row"]);

    let record = repository.update(&mut connection, id(1), &teacher("new")).unwrap();
    assert_eq!(details_of(&record), ["row", "row", "new"]);
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["row", "row", "new"])));
    assert_eq!(
        legacy(database, id(1)),
        values(&[Some("legacy"), Some("legacy"), Some("new"), None, None]),
        "the touched field goes to both sides, the drifted ones stay for verification to find"
    );
    let record = repository.update(&mut connection, id(1), &publish()).unwrap();
    assert_eq!(details_of(&record), ["row", "row", "new"]);
}

fn subtype_mode_makes_a_missing_row_from_the_legacy_columns(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Subtype);
    for number in [1, 2] {
        insert(database, number, "self_study", [None, None, None, Some("legacy"), None]);
    }
    repository.update(&mut connection, id(1), &publish()).unwrap();
    assert_eq!(row(database, Kind::SelfStudy, id(1)), Some(texts(&["legacy", ""])));
    repository.update(&mut connection, id(2), &goal("new")).unwrap();
    assert_eq!(row(database, Kind::SelfStudy, id(2)), Some(texts(&["new", ""])));
    assert_eq!(legacy(database, id(2)), values(&[None, None, None, Some("new"), None]));
}

fn after_the_drop_the_row_alone_is_written(database: &TestDatabase) {
    migrate(database);
    for number in 1..=4 {
        insert(database, number, "school", [None; 5]);
    }
    for number in [1, 3] {
        insert_row(database, Kind::School, number, &["a", "b", "c"]);
    }
    drop_legacy(database);
    for (numbers, mode) in [([1, 2], WriteMode::Dual), ([3, 4], WriteMode::Subtype)] {
        let (mut connection, repository) = open(database, mode);
        let [there, missing] = numbers.map(id);
        repository.update(&mut connection, there, &publish()).unwrap();
        assert_eq!(row(database, Kind::School, there), Some(texts(&["a", "b", "c"])));
        let record = repository.update(&mut connection, there, &teacher("new")).unwrap();
        assert_eq!(details_of(&record), ["a", "b", "new"]);
        assert!(!record.project.is_draft);
        repository.update(&mut connection, missing, &teacher("new")).unwrap();
        assert_eq!(row(database, Kind::School, missing), Some(texts(&["", "", "new"])));
    }
}

fn a_patch_of_another_kind_is_refused(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let patch = ProjectPatch { name: Some("never".into()), ..goal("never") };
        let error = repository.update(&mut connection, id(1), &patch).unwrap_err();
        let RepositoryError::TypeMismatch { id: of, expected, found } = error else { panic!("{error:?}") };
        assert_eq!((of, expected, found), (id(1), Kind::SelfStudy, ProjectType::School));
    }
    assert_eq!(legacy(database, id(1)), values(&[Some("a"); 5]));
    assert_eq!(database.value("SELECT name FROM projects_project"), "project 1");
}

fn an_unknown_type_has_common_fields_only(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "SCHOOL", [Some("a"); 5]);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let record = repository.update(&mut connection, id(1), &publish()).unwrap();
        assert_eq!(record.project.project_type, ProjectType::Other("SCHOOL".into()));
        let error = repository.update(&mut connection, id(1), &teacher("never")).unwrap_err();
        assert!(matches!(error, RepositoryError::TypeMismatch { .. }), "{error:?}");
    }
    assert_eq!(legacy(database, id(1)), values(&[Some("a"); 5]));
    assert_eq!(row(database, Kind::School, id(1)), None);
}

fn a_project_that_is_not_there(database: &TestDatabase) {
    migrate(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let error = repository.update(&mut connection, id(9), &teacher("new")).unwrap_err();
        assert!(matches!(error, RepositoryError::NotFound { id: missing } if missing == id(9)), "{error:?}");
    }
}

fn a_failed_update_leaves_nothing_behind(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"); 5]);
    // Something that the subtype row does not take, but the legacy column does.
    let check = database.either(
        "ALTER TABLE projects_schoolproject ADD CHECK (teacher_name <> 'new')",
        "CREATE TRIGGER no BEFORE INSERT ON projects_schoolproject WHEN NEW.teacher_name = 'new' \
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    database.execute(check);
    for mode in [WriteMode::Dual, WriteMode::Subtype] {
        let (mut connection, repository) = open(database, mode);
        let error = repository.update(&mut connection, id(1), &teacher("new")).unwrap_err();
        assert!(matches!(error, RepositoryError::Database(_)), "{error:?}");
        assert_eq!(legacy(database, id(1)), values(&[Some("a"); 5]));
        assert_eq!(row(database, Kind::School, id(1)), None);
    }
}
