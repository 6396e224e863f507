//! Beside services that embed the library, in every mode: they write subtype rows themselves, and the triggers find done
//! what they would do.

use sti_core::WriteMode;
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::repository::{SchoolPatch, SelfStudyPatch, TypeChange};
use sti_core::test_support::{Session, TestDatabase};

use super::rig::{assert_level, both_schemas, insert_sql, only, ours, removed, run, save_sql};
use crate::backfill::rig::differences;
use crate::repository::rig::{
    MODES, begin, commit, details_of, goal, id, new_school, new_self_study, open, row, teacher, texts,
};

both_schemas! { every_call_in_every_mode, in_a_host_s_transaction_with_writes_past_the_library }

fn school(name: &str) -> TypeChange {
    TypeChange::School(SchoolPatch { course_name: Some(name.to_owned()), ..SchoolPatch::default() })
}

fn self_study(text: &str) -> TypeChange {
    TypeChange::SelfStudy(SelfStudyPatch {
        goal_description: Some(text.to_owned()),
        ..SelfStudyPatch::default()
    })
}

fn every_call_in_every_mode(database: &TestDatabase) {
    for (first, mode) in [10, 20, 30].into_iter().zip(MODES) {
        let (mut connection, repository) = open(database, mode);
        let [one, two] = [id(first), id(first + 1)];
        repository.create(&mut connection, &new_school(first, "a", "b", "c")).unwrap();
        repository.create(&mut connection, &new_self_study(first + 1, "goal", "daily")).unwrap();
        repository.update(&mut connection, one, &teacher("C")).unwrap();
        repository.update(&mut connection, two, &goal("GOAL")).unwrap();
        assert_eq!(only(database, School, first), texts(&["a", "b", "C"]), "{mode}");
        assert_eq!(only(database, SelfStudy, first + 1), texts(&["GOAL", "daily"]), "{mode}");
        assert_level(database);
        let record = repository.change_type(&mut connection, one, &self_study("new")).unwrap();
        assert_eq!(details_of(&record), texts(&["new", ""]), "{mode}");
        assert_eq!(only(database, SelfStudy, first), texts(&["new", ""]), "{mode}");
        repository.change_type(&mut connection, two, &TypeChange::Other("other".to_owned())).unwrap();
        repository.change_type(&mut connection, two, &school("back")).unwrap();
        assert_eq!(only(database, School, first + 1), texts(&["back", "", ""]), "{mode}");
        assert_level(database);
        repository.delete(&mut connection, one).unwrap();
        repository.delete(&mut connection, two).unwrap();
        assert_level(database);
    }
    assert_eq!(database.count("sti_repair_log WHERE digest = 'sync'"), 0);
}

fn in_a_host_s_transaction_with_writes_past_the_library(database: &TestDatabase) {
    use diesel::connection::SimpleConnection as _;
    let (mut connection, repository) = open(database, WriteMode::Dual);
    begin(&mut connection);
    connection.batch_execute(&insert_sql(1, "school", [Some("a"), None, None, None, None])).unwrap();
    repository.update(&mut connection, id(1), &teacher("c")).unwrap();
    connection
        .batch_execute(&save_sql(1, "self_study", [Some("a"), None, Some("c"), Some("goal"), None]))
        .unwrap();
    repository.update(&mut connection, id(1), &goal("GOAL")).unwrap();
    repository.create(&mut connection, &new_school(2, "b", "", "")).unwrap();
    connection.batch_execute(&format!("DELETE FROM projects_project WHERE id = '{}'", id(2))).unwrap();
    commit(&mut connection).unwrap();
    assert_eq!(only(database, SelfStudy, 1), texts(&["GOAL", ""]));
    assert_level(database);
}

/// In subtype mode the row is what users see: an update writes the touched fields, and the trigger adds none to them.
#[test]
fn a_drifted_row_in_subtype_mode_is_changed_where_it_was_touched() {
    for with_triggers in [true, false] {
        let database = ours();
        run(&database, &insert_sql(1, "school", [Some("a"), Some("b"), Some("c"), None, None]));
        database.execute("UPDATE projects_schoolproject SET course_name = 'seen', teacher_name = 'seen too'");
        if !with_triggers {
            removed(&database);
        }
        let (mut connection, repository) = open(&database, WriteMode::Subtype);
        let record = repository.update(&mut connection, id(1), &teacher("C")).unwrap();
        assert_eq!(details_of(&record), texts(&["seen", "b", "C"]), "{with_triggers}");
        assert_eq!(row(&database, School, id(1)), Some(texts(&["seen", "b", "C"])), "{with_triggers}");
        // What the legacy column says already: the row changes although it does not.
        let record = repository.update(&mut connection, id(1), &teacher("C")).unwrap();
        assert_eq!(details_of(&record), texts(&["seen", "b", "C"]));
    }
}

/// A writer of the legacy columns and a service, on the same project, at the same moment.
#[test]
fn a_legacy_writer_and_a_service_take_turns() {
    let database = ours();
    run(&database, &insert_sql(1, "school", [Some("a"), None, None, None, None]));
    let writer = Session::open(&database, "writer");
    writer.run(&format!("BEGIN; {}", save_sql(1, "school", [Some("a"), Some("b"), None, None, None])));
    let url = database.application_role();
    let service = std::thread::spawn(move || {
        let url = sti_core::db::DatabaseUrl::parse(&url).unwrap();
        let mut connection = sti_core::db::connect(&url, sti_core::db::Access::Write, "service").unwrap();
        let repository = sti_core::ProjectRepository::open(&mut connection, WriteMode::Dual).unwrap();
        repository.update(&mut connection, id(1), &teacher("c")).unwrap();
    });
    sti_core::test_support::wait_until_it_waits(&database, "service");
    writer.run("COMMIT");
    service.join().unwrap();
    assert_eq!(only(&database, School, 1), texts(&["a", "b", "c"]));
    assert_eq!(differences(&database), [0; 4]);
}
