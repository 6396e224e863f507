//! The triggers: a service that writes subtype rows only keeps both sides level, as a role that owns nothing.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use sti_core::contract::restore::{Finish, FinishOptions, Restoration, RestoreOptions, finish};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::repository::{SchoolPatch, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{WriteMode, both_backends};

use super::rig::{drop_by_hand, finished, leftovers, restored, try_restore};
use crate::repository::rig::{
    application, id, insert, insert_row, legacy, migrate, new_school, open, owner, publish, row, teacher,
    values,
};

both_backends! {
    writes_of_rows_reach_the_columns,
    an_untouched_null_stays_null,
    a_row_that_goes_takes_its_values_along_and_no_others,
    a_row_that_moves_to_another_project,
    without_them_nothing_is_written,
    a_writer_of_rows_alone_leaves_a_trace,
    an_update_levels_what_it_changes_and_no_more,
    a_new_row_with_an_empty_field_takes_no_archived_value_away,
}

/// Three school projects, dropped and restored; the triggers are there.
fn with_triggers(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"), None, Some("c"), None, None]);
    insert_row(database, School, 1, &["a", "", "c"]);
    insert(database, 2, "self_study", [Some("stray"), None, None, Some("goal"), None]);
    insert_row(database, SelfStudy, 2, &["goal", ""]);
    insert(database, 3, "school", [None; 5]);
    drop_by_hand(database);
    restored(database);
}

/// As the application's role.
#[track_caller]
fn run(database: &TestDatabase, sql: &str) {
    application(database).batch_execute(sql).unwrap();
}

fn writes_of_rows_reach_the_columns(database: &TestDatabase) {
    with_triggers(database);
    run(database, "UPDATE projects_schoolproject SET teacher_name = 'new', course_code = 'çà 👩‍👩‍👧'");
    assert_eq!(legacy(database, id(1)), values(&[Some("a"), Some("çà 👩‍👩‍👧"), Some("new"), None, None]));
    run(
        database,
        "INSERT INTO projects_schoolproject VALUES ('00000000000000000000000000000003', 'x', '', '')",
    );
    assert_eq!(legacy(database, id(3)), values(&[Some("x"), None, None, None, None]));
    run(
        database,
        "INSERT INTO projects_schoolproject VALUES ('00000000000000000000000000000003', 'X', '', '') \
         ON CONFLICT (project_id) DO UPDATE SET course_name = 'X'",
    );
    assert_eq!(legacy(database, id(3))[0].as_deref(), Some("X"), "case makes a difference");
    run(database, "UPDATE projects_selfstudyproject SET goal_description = ''");
    assert_eq!(legacy(database, id(2)), values(&[Some("stray"), None, None, Some(""), None]));
}

fn an_untouched_null_stays_null(database: &TestDatabase) {
    with_triggers(database);
    run(database, "UPDATE projects_schoolproject SET teacher_name = 'new', course_code = ''");
    assert_eq!(legacy(database, id(1)), values(&[Some("a"), None, Some("new"), None, None]));
}

fn a_row_that_goes_takes_its_values_along_and_no_others(database: &TestDatabase) {
    with_triggers(database);
    // The stray value of a self-study project is no value of the row that goes.
    run(
        database,
        "INSERT INTO projects_schoolproject VALUES ('00000000000000000000000000000002', 'stray', 'b', '')",
    );
    database
        .execute("UPDATE projects_project SET course_code = 'only here' WHERE project_type = 'self_study'");
    run(database, "DELETE FROM projects_schoolproject WHERE project_id = '00000000000000000000000000000002'");
    assert_eq!(legacy(database, id(2)), values(&[None, Some("only here"), None, Some("goal"), None]));
    run(database, "DELETE FROM projects_selfstudyproject");
    assert_eq!(legacy(database, id(2)), values(&[None, Some("only here"), None, None, None]));
    // With its project.
    run(
        database,
        "DELETE FROM projects_schoolproject WHERE project_id = '00000000000000000000000000000001'; \
         DELETE FROM projects_project WHERE id = '00000000000000000000000000000001'",
    );
    assert_eq!(database.count("projects_project"), 2);
}

fn a_row_that_moves_to_another_project(database: &TestDatabase) {
    with_triggers(database);
    run(database, "UPDATE projects_schoolproject SET project_id = '00000000000000000000000000000003'");
    assert_eq!(legacy(database, id(1)), values(&[None; 5]));
    assert_eq!(legacy(database, id(3)), values(&[Some("a"), None, Some("c"), None, None]));
}

fn without_them_nothing_is_written(database: &TestDatabase) {
    with_triggers(database);
    assert!(leftovers(database) > 0);
    assert_eq!(finished(database), Finish::Done { event: 1, attempts: 1 });
    assert_eq!(leftovers(database), 0);
    run(database, "UPDATE projects_schoolproject SET teacher_name = 'new'");
    assert_eq!(legacy(database, id(1))[2].as_deref(), Some("c"));
    assert_eq!(row(database, School, id(1)).unwrap()[2], "new");
    assert_eq!(finished(database), Finish::Already { event: 1 });
}

/// Services that write both sides leave none, whatever they do.
fn a_writer_of_rows_alone_leaves_a_trace(database: &TestDatabase) {
    with_triggers(database);
    let finish = |quiet_for| {
        let options = FinishOptions {
            noticed_after: Duration::ZERO,
            watched_for: Duration::ZERO,
            quiet_for,
            ..FinishOptions::default()
        };
        finish(&mut || Ok(owner(database)), &options, &mut |_| {}).unwrap()
    };
    for mode in [WriteMode::Dual, WriteMode::Subtype] {
        let (mut connection, repository) = open(database, mode);
        repository.update(&mut connection, id(1), &teacher(&mode.to_string())).unwrap();
        repository.update(&mut connection, id(3), &publish()).unwrap();
        let goal = SelfStudyPatch { goal_description: Some("goal".into()), ..SelfStudyPatch::default() };
        repository.change_type(&mut connection, id(3), &TypeChange::SelfStudy(goal)).unwrap();
        repository.change_type(&mut connection, id(3), &TypeChange::School(SchoolPatch::default())).unwrap();
        repository.create(&mut connection, &new_school(4, "a", "", "c")).unwrap();
        repository.delete(&mut connection, id(4)).unwrap();
    }
    let restoration = try_restore(database, &RestoreOptions::default()).unwrap();
    assert!(matches!(restoration, Restoration::Already { levelled_at: None, .. }), "{restoration:?}");

    run(database, "UPDATE projects_schoolproject SET teacher_name = 'row only'");
    let far = Duration::from_secs(3600);
    let Finish::StillNeeded { event: 1, levelled_at, ago } = finish(far) else { panic!("finished") };
    assert!(ago < far, "{levelled_at:?}");
    assert!(leftovers(database) > 0);
    let restoration = try_restore(database, &RestoreOptions::default()).unwrap();
    let Restoration::Already { levelled_at: again, .. } = restoration else { panic!("{restoration:?}") };
    assert_eq!(again, Some(levelled_at));
    assert_eq!(finish(Duration::ZERO), Finish::Done { event: 1, attempts: 1 });
}

/// Nobody goes round them without a word.
#[test]
fn truncate_is_refused_and_replicas_are_no_exception() {
    let database = &TestDatabase::postgres();
    with_triggers(database);
    let error = owner(database).batch_execute("TRUNCATE projects_schoolproject").unwrap_err().to_string();
    assert!(error.contains("TRUNCATE of school rows while the legacy columns are being restored"), "{error}");
    assert_eq!(database.count("projects_schoolproject"), 1);
    database.execute(
        "SET session_replication_role = replica; UPDATE projects_schoolproject SET teacher_name = 'replica'",
    );
    assert_eq!(legacy(database, id(1))[2].as_deref(), Some("replica"));
}

/// A function that works with its owner's rights must not be of use to anybody else.
#[test]
fn the_functions_trust_no_search_path_and_nobody() {
    let database = &TestDatabase::postgres();
    with_triggers(database);
    assert_eq!(
        database.column(
            "array_to_string(proconfig, ';') || ' ' || prosecdef || ' ' || \
             has_function_privilege('public', oid, 'EXECUTE')",
            "FROM pg_proc WHERE proname LIKE 'sti_restore%'"
        ),
        vec![Some("search_path=pg_catalog, pg_temp true false".to_owned()); 2]
    );
    // A table of the same name in front of ours is not taken for it.
    database.execute(
        "CREATE SCHEMA front; CREATE TABLE front.projects_project (id uuid, course_name text, course_code text, \
         teacher_name text); GRANT ALL ON SCHEMA front TO PUBLIC; GRANT ALL ON front.projects_project TO PUBLIC",
    );
    run(
        database,
        "SET search_path = front, public; UPDATE public.projects_schoolproject SET teacher_name = 'new'",
    );
    assert_eq!(legacy(database, id(1))[2].as_deref(), Some("new"));
}

/// What stands apart in the other columns was written by another hand, and the verification has to find it.
fn an_update_levels_what_it_changes_and_no_more(database: &TestDatabase) {
    with_triggers(database);
    database.execute("UPDATE projects_project SET course_name = 'by hand' WHERE course_name = 'a'");
    run(database, "UPDATE projects_schoolproject SET teacher_name = 'new', course_name = course_name");
    assert_eq!(legacy(database, id(1)), values(&[Some("by hand"), None, Some("new"), None, None]));
    run(database, "UPDATE projects_schoolproject SET course_name = 'changed' WHERE course_name = 'a'");
    assert_eq!(legacy(database, id(1))[0].as_deref(), Some("changed"));
}

/// The stray value came back for a project that had no such row at the drop: whoever makes the row did not see it.
fn a_new_row_with_an_empty_field_takes_no_archived_value_away(database: &TestDatabase) {
    with_triggers(database);
    // Refilled, and not verified yet.
    database.execute("UPDATE sti_drop_event SET restored_at = NULL");
    let two = "'00000000000000000000000000000002'";
    run(database, &format!("INSERT INTO projects_schoolproject VALUES ({two}, '', 'code', '')"));
    let kept = values(&[Some("stray"), Some("code"), None, Some("goal"), None]);
    assert_eq!(legacy(database, id(2)), kept, "and the field that was given is there");
    // Whoever empties a field means it.
    run(
        database,
        &format!("UPDATE projects_schoolproject SET course_name = 'stray' WHERE project_id = {two}"),
    );
    run(database, &format!("UPDATE projects_schoolproject SET course_name = '' WHERE project_id = {two}"));
    assert_eq!(legacy(database, id(2))[0].as_deref(), Some(""));
    run(database, &format!("UPDATE projects_schoolproject SET course_name = 'own' WHERE project_id = {two}"));
    assert_eq!(legacy(database, id(2))[0].as_deref(), Some("own"));
}
