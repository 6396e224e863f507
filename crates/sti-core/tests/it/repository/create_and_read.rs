//! Creating, reading one, listing.

use chrono::NaiveDate;
use sti_core::db::sql_types::{Integer, Timestamp};
use sti_core::models::{Kind, ProjectType};
use sti_core::repository::{Details, ListQuery, NewDetails, NewProject, RepositoryError};
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectId, WriteMode, both_backends};

use super::rig::{
    MODES, details_of, drop_legacy, id, insert, insert_row, legacy, migrate, new, new_school, new_self_study,
    open, row, school, start, texts, values,
};

both_backends! {
    create_writes_the_sides_of_its_mode,
    create_after_the_drop_writes_the_row_alone,
    what_was_created_is_what_is_read,
    a_wide_owner_fits,
    an_unknown_type_round_trips,
    the_text_of_a_kind_is_that_kind,
    null_reads_as_empty_in_every_mode,
    the_mode_chooses_the_side_that_is_read,
    a_missing_row_reads_as_empty,
    a_project_that_is_not_there,
    list_pages_through_everything_in_every_mode,
    list_filters_by_kind_and_draft,
}

const AWKWARD: [&str; 3] = [" '\u{202e}שלום\u{202c}' ", "\\N", "🐠\r\n\"e\u{301}\""];

fn create_writes_the_sides_of_its_mode(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in (1..).step_by(3).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        let [a, b, c] = AWKWARD;
        repository.create(&mut connection, &new_school(number, a, b, c)).unwrap();
        repository.create(&mut connection, &new_self_study(number + 1, "", c)).unwrap();
        repository.create(&mut connection, &new(number + 2, NewDetails::Other("club".into()))).unwrap();

        let both = mode != WriteMode::Legacy;
        let (school, self_study, other) = (id(number), id(number + 1), id(number + 2));
        assert_eq!(legacy(database, school), values(&[Some(a), Some(b), Some(c), None, None]));
        assert_eq!(row(database, Kind::School, school), both.then(|| texts(&[a, b, c])));
        assert_eq!(row(database, Kind::SelfStudy, school), None);
        assert_eq!(legacy(database, self_study), values(&[None, None, None, Some(""), Some(c)]));
        assert_eq!(row(database, Kind::SelfStudy, self_study), both.then(|| texts(&["", c])));
        assert_eq!(row(database, Kind::School, self_study), None);
        assert_eq!(legacy(database, other), values(&[None; 5]));
        for kind in Kind::ALL {
            assert_eq!(row(database, kind, other), None);
        }
    }
}

fn create_after_the_drop_writes_the_row_alone(database: &TestDatabase) {
    migrate(database);
    drop_legacy(database);
    for (number, mode) in [(1, WriteMode::Dual), (2, WriteMode::Subtype)] {
        let (mut connection, repository) = open(database, mode);
        let record = repository.create(&mut connection, &new_school(number, "a", "", "c")).unwrap();
        assert_eq!(details_of(&record), ["a", "", "c"]);
        assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["a", "", "c"])));
    }
}

fn what_was_created_is_what_is_read(database: &TestDatabase) {
    migrate(database);
    for (number, mode) in (1..).zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        let before = Timestamp::now();
        let new = NewProject {
            id: id(number),
            name: "Reefs 🪸".into(),
            owner_id: Integer(7),
            start_date: NaiveDate::from_ymd_opt(2024, 2, 29),
            end_date: None,
            is_draft: false,
            details: NewDetails::School(school("Marine biology", "", "J. Cousteau")),
        };
        let created = repository.create(&mut connection, &new).unwrap();
        assert_eq!(repository.get(&mut connection, id(number)).unwrap(), created);
        assert_eq!(created.details, Details::School(school("Marine biology", "", "J. Cousteau")));
        let project = created.project;
        assert_eq!((project.id, project.name, project.owner_id), (new.id, new.name, new.owner_id));
        assert_eq!((project.start_date, project.end_date), (new.start_date, None));
        assert_eq!((project.project_type, project.is_draft), (ProjectType::School, false));
        assert_eq!(project.created_at, project.updated_at);
        assert!(before <= project.created_at && project.created_at <= Timestamp::now());
    }
}

fn a_wide_owner_fits(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    let wide = Integer(i64::from(i32::MAX) + 1);
    let new = NewProject { owner_id: wide, ..new_school(1, "", "", "") };
    assert_eq!(repository.create(&mut connection, &new).unwrap().project.owner_id, wide);
}

fn an_unknown_type_round_trips(database: &TestDatabase) {
    migrate(database);
    for (mode, numbers) in MODES.into_iter().zip([[1, 2, 3], [4, 5, 6], [7, 8, 9]]) {
        let (mut connection, repository) = open(database, mode);
        for (number, text) in numbers.into_iter().zip(["", "SCHOOL", " school"]) {
            repository.create(&mut connection, &new(number, NewDetails::Other(text.into()))).unwrap();
            let record = repository.get(&mut connection, id(number)).unwrap();
            assert_eq!(record.project.project_type, ProjectType::Other(text.into()));
            assert_eq!(record.details, Details::None);
        }
    }
}

fn the_text_of_a_kind_is_that_kind(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Dual);
    let record = repository.create(&mut connection, &new(1, NewDetails::Other("school".into()))).unwrap();
    assert_eq!(record.project.project_type, ProjectType::School);
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["", "", ""])));
}

fn null_reads_as_empty_in_every_mode(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [None, Some("x"), None, None, None]);
    insert_row(database, Kind::School, 1, &["", "x", ""]);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let record = repository.get(&mut connection, id(1)).unwrap();
        assert_eq!(record.details, Details::School(school("", "x", "")), "{mode}");
    }
}

fn the_mode_chooses_the_side_that_is_read(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("legacy"); 5]);
    insert_row(database, Kind::School, 1, &["row", "row", "row"]);
    insert_row(database, Kind::SelfStudy, 1, &["stray", "stray"]);
    for (mode, expected) in MODES.into_iter().zip(["legacy", "legacy", "row"]) {
        let (mut connection, repository) = open(database, mode);
        let record = repository.get(&mut connection, id(1)).unwrap();
        assert_eq!(details_of(&record), [expected; 3], "{mode}");
        let listed = repository.list(&mut connection, &page(None, 10)).unwrap();
        assert_eq!(listed, [record]);
    }
}

fn a_missing_row_reads_as_empty(database: &TestDatabase) {
    let (mut connection, repository) = start(database, WriteMode::Subtype);
    insert(database, 1, "self_study", [None, None, None, Some("goal"), None]);
    let record = repository.get(&mut connection, id(1)).unwrap();
    assert_eq!(details_of(&record), ["", ""]);
}

fn a_project_that_is_not_there(database: &TestDatabase) {
    migrate(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let error = repository.get(&mut connection, id(9)).unwrap_err();
        assert!(matches!(error, RepositoryError::NotFound { id: missing } if missing == id(9)), "{error:?}");
    }
}

fn page(after: Option<ProjectId>, limit: u32) -> ListQuery {
    ListQuery { after, limit, ..ListQuery::default() }
}

/// Ten projects: schools, self-studies, unknown types; some without their row, some with a row of the wrong kind.
fn ten(database: &TestDatabase) {
    for number in 0..10 {
        let project_type = ["school", "self_study", "", "SCHOOL", "school"][number as usize % 5];
        insert(database, number, project_type, [Some("a"), None, Some("c"), Some("d"), None]);
        if number > 5 {
            insert_row(database, Kind::School, number, &["a", "", "c"]);
        }
        if number % 2 == 0 {
            database.execute(&format!(
                "UPDATE projects_project SET is_draft = false WHERE id = '{}'",
                id(number).hex()
            ));
        }
    }
}

fn list_pages_through_everything_in_every_mode(database: &TestDatabase) {
    migrate(database);
    ten(database);
    let all: Vec<ProjectId> = (0..10).map(id).collect();
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        for limit in [1, 3, 10, u32::MAX] {
            let mut seen = Vec::new();
            loop {
                let records = repository.list(&mut connection, &page(seen.last().copied(), limit)).unwrap();
                assert!(records.len() <= limit as usize);
                if records.is_empty() {
                    break;
                }
                seen.extend(records.iter().map(|record| record.project.id));
            }
            assert_eq!(seen, all, "{mode}, {limit} at a time");
        }
        assert_eq!(repository.list(&mut connection, &page(None, 0)).unwrap(), []);
    }
}

fn list_filters_by_kind_and_draft(database: &TestDatabase) {
    migrate(database);
    ten(database);
    for mode in MODES {
        let (mut connection, repository) = open(database, mode);
        let mut numbers = |kind, is_draft, after| -> Vec<ProjectId> {
            let query = ListQuery { after, limit: 100, kind, is_draft };
            let records = repository.list(&mut connection, &query).unwrap();
            records.into_iter().map(|record| record.project.id).collect()
        };
        assert_eq!(numbers(Some(Kind::School), None, None), [0, 4, 5, 9].map(id));
        assert_eq!(numbers(Some(Kind::SelfStudy), None, None), [1, 6].map(id));
        assert_eq!(numbers(None, Some(true), None), [1, 3, 5, 7, 9].map(id));
        assert_eq!(numbers(Some(Kind::School), Some(false), None), [0, 4].map(id));
        assert_eq!(numbers(Some(Kind::School), Some(true), Some(id(5))), [9].map(id));
    }
}
