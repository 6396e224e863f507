//! Which values come back: column by column, the archived one or the subtype row's.

use sti_core::WriteMode;
use sti_core::both_backends;
use sti_core::contract::restore::{Restoration, RestoreEvent, restore};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::repository::{SchoolPatch, SelfStudyPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::verify::Class;
use sti_core::verify::repair::Direction;

use super::rig::{
    chunks_of, definitions, drop_by_hand, figures, finished, leftovers, legacy_digest, refilled, restored,
    try_restore,
};
use crate::contract::rig::repaired;
use crate::repository::rig::{another, id, insert, insert_row, legacy, migrate, open, owner, row, values};

both_backends! {
    what_the_columns_held_comes_back,
    a_value_that_was_changed_since_comes_from_the_row,
    a_change_of_type_since,
    an_empty_field_of_a_new_row_is_no_word_against_an_archived_value,
    a_column_that_fell_behind_without_the_triggers_is_for_somebody_to_decide,
    projects_made_and_deleted_since,
    a_value_that_somebody_else_wrote_stays,
    definitions_come_back,
    drop_and_restore_twice,
}
both_backends! { django: the_digest_of_the_fixture_is_unchanged, the_fixture_without_its_flaws_is_restored }

const LONG: &str = "çà 👩‍👩‍👧 e\u{301} 'quoted' \\N\n\t \u{202e}rtl";

/// A project of each sort: both sides level, but for what only the archive can keep.
fn plant(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"), Some(""), None, None, None]);
    insert_row(database, School, 1, &["a", "", ""]);
    insert(database, 2, "self_study", [Some("stray"), None, Some(""), Some(LONG), None]);
    insert_row(database, SelfStudy, 2, &[LONG, ""]);
    insert(database, 3, "school", [None; 5]);
    insert(database, 4, "SCHOOL", [Some("unknown"), None, Some(""), Some("goal"), Some("f")]);
    insert(database, 5, "self_study", [None, None, None, Some(""), Some(" ")]);
    insert_row(database, SelfStudy, 5, &["", " "]);
    insert(database, 6, "school", [None, Some("NULL"), Some("c"), Some("stray"), None]);
    insert_row(database, School, 6, &["", "NULL", "c"]);
}

fn what_the_columns_held_comes_back(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    let restored = restored(database);
    assert_eq!(legacy_digest(database), before);
    // The third has nothing to be put back.
    assert_eq!(figures(restored.refilled), refilled(6, 6, 5));
    assert_eq!((restored.refilled.chunks, restored.verified), (3, 6));
    assert_eq!((restored.archived, restored.resumed_after), (Some(6), None));
    assert_eq!(restored.began.unwrap().added.len(), 5);
    assert_eq!(database.count("sti_drop_event WHERE restored_at IS NOT NULL AND finished_at IS NULL"), 1);
    assert_eq!(database.count("sti_legacy_archive"), 6, "the archive stays");
}

fn a_value_that_was_changed_since_comes_from_the_row(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    // One field of three, another one emptied, and one that is emptied although it was NULL.
    database.execute("UPDATE projects_schoolproject SET course_name = 'new' WHERE course_name = 'a'");
    database.execute("UPDATE projects_selfstudyproject SET goal_description = '' WHERE study_frequency = ''");
    database.execute("UPDATE projects_schoolproject SET course_name = '' WHERE course_code = 'NULL'");
    let restored = restored(database);
    assert_eq!(legacy(database, id(1)), values(&[Some("new"), Some(""), None, None, None]));
    assert_eq!(legacy(database, id(2)), values(&[Some("stray"), None, Some(""), Some(""), None]));
    assert_eq!(legacy(database, id(6)), values(&[None, Some("NULL"), Some("c"), Some("stray"), None]));
    assert_eq!(restored.refilled.superseded, 2);
    assert_eq!(restored.refilled.left, 0);
}

fn a_change_of_type_since(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    // As a service does it: the new row, the old one goes.
    database.execute(
        "BEGIN; UPDATE projects_project SET project_type = 'self_study' WHERE id = '00000000000000000000000000000006'; \
         DELETE FROM projects_schoolproject WHERE project_id = '00000000000000000000000000000006'; \
         INSERT INTO projects_selfstudyproject VALUES ('00000000000000000000000000000006', 'goal', ''); COMMIT",
    );
    // There and back again: the row says what it said.
    database.execute(
        "BEGIN; DELETE FROM projects_schoolproject WHERE project_id = '00000000000000000000000000000001'; \
         INSERT INTO projects_schoolproject VALUES ('00000000000000000000000000000001', 'a', '', ''); COMMIT",
    );
    // A project of unknown type becomes a school project.
    database.execute(
        "BEGIN; UPDATE projects_project SET project_type = 'school' WHERE project_type = 'SCHOOL'; \
         INSERT INTO projects_schoolproject VALUES ('00000000000000000000000000000004', '', 'new', ''); COMMIT",
    );
    let Restoration::NotVerified { restored, report } = try_restore(database, &chunks_of(2)).unwrap() else {
        panic!("somebody has to decide about \"unknown\"");
    };
    assert_eq!(legacy(database, id(6)), values(&[None, None, None, Some("goal"), None]));
    assert_eq!(legacy(database, id(1)), values(&[Some("a"), Some(""), None, None, None]));
    let fourth = values(&[Some("unknown"), Some("new"), Some(""), Some("goal"), Some("f")]);
    assert_eq!(legacy(database, id(4)), fourth);
    // "NULL", "c" and "stray" of the one are superseded; "unknown" of the other is not.
    assert_eq!((restored.refilled.superseded, restored.refilled.beside_empty), (3, 1));
    assert_eq!((report.affected, report.count(Class::Drift)), (1, 1));
    assert_eq!(report.samples[0].projects[0].id, id(4));
    // The row gets the value that nobody could see.
    repaired(database, Direction::Legacy);
    super::rig::restored(database);
    assert_eq!(legacy(database, id(4)), fourth);
    assert_eq!(row(database, School, id(4)).unwrap(), ["unknown", "new", ""]);
}

/// A stray value of the kind that the project becomes after the drop: what nobody saw was not emptied by anybody.
fn an_empty_field_of_a_new_row_is_no_word_against_an_archived_value(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    let (mut connection, repository) = open(database, WriteMode::Subtype);
    // Its goal_description was "stray", its study_frequency NULL.
    let empty = TypeChange::SelfStudy(SelfStudyPatch::default());
    repository.change_type(&mut connection, id(6), &empty).unwrap();
    // Here the new row says something of its own.
    let own = SchoolPatch { course_name: Some("own".into()), ..SchoolPatch::default() };
    repository.change_type(&mut connection, id(2), &TypeChange::School(own)).unwrap();
    let Restoration::NotVerified { restored, report } = try_restore(database, &chunks_of(2)).unwrap() else {
        panic!("nobody has decided");
    };
    assert_eq!(legacy(database, id(6)), values(&[None, None, None, Some("stray"), None]));
    assert_eq!(legacy(database, id(2))[0].as_deref(), Some("own"));
    assert_eq!(restored.refilled.beside_empty, 1);
    assert_eq!((report.affected, report.count(Class::Drift)), (1, 1));
    // The other decision: the row is right, and the before-image is kept.
    repaired(database, Direction::Subtype);
    super::rig::restored(database);
    assert_eq!(legacy(database, id(6)), values(&[None, None, None, Some(""), None]));
    assert_eq!(database.count("sti_legacy_archive WHERE goal_description = 'stray'"), 1);
}

/// Without the triggers a column that was level falls behind; nobody can tell it from one that was written by hand.
fn a_column_that_fell_behind_without_the_triggers_is_for_somebody_to_decide(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    let options = chunks_of(2);
    let stop = options.stop.clone();
    let stopped = restore(&mut || Ok(owner(database)), &options, &mut |event| {
        if matches!(event, RestoreEvent::ChunkDone { .. }) {
            stop.stop();
        }
    });
    assert!(matches!(stopped, Ok(Restoration::Stopped(_))), "{stopped:?}");
    let one = "WHERE project_id = '00000000000000000000000000000001'";
    let write = |name: &str| {
        database.execute(&format!("UPDATE projects_schoolproject SET course_name = '{name}' {one}"));
    };
    write("levelled");
    assert_eq!(legacy(database, id(1))[0].as_deref(), Some("levelled"));
    database.execute(database.either(
        "DROP TRIGGER sti_restore_row ON projects_schoolproject",
        "DROP TRIGGER sti_restore_school_update",
    ));
    write("newer");
    let Restoration::NotVerified { restored, report } = try_restore(database, &chunks_of(2)).unwrap() else {
        panic!("nobody has decided");
    };
    assert_eq!((restored.refilled.left, report.count(Class::Drift)), (1, 1));
    assert_eq!(legacy(database, id(1))[0].as_deref(), Some("levelled"));
    repaired(database, Direction::Subtype);
    super::rig::restored(database);
    assert_eq!(legacy(database, id(1)), values(&[Some("newer"), Some(""), None, None, None]));
}

fn projects_made_and_deleted_since(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    database.execute(
        "DELETE FROM projects_schoolproject WHERE project_id = '00000000000000000000000000000001'; \
         DELETE FROM projects_project WHERE id = '00000000000000000000000000000001'; \
         INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id) \
         SELECT '00000000000000000000000000000007', name, 'school', is_draft, created_at, updated_at, owner_id \
         FROM projects_project WHERE project_type = 'SCHOOL'; \
         INSERT INTO projects_schoolproject VALUES ('00000000000000000000000000000007', 'x', '', 'z'); \
         INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id) \
         SELECT '00000000000000000000000000000008', name, 'other', is_draft, created_at, updated_at, owner_id \
         FROM projects_project WHERE project_type = 'SCHOOL'",
    );
    let restored = restored(database);
    assert_eq!(figures(restored.refilled), refilled(7, 5, 5));
    assert_eq!(legacy(database, id(7)), values(&[Some("x"), Some(""), Some("z"), None, None]));
    assert_eq!(legacy(database, id(8)), values(&[None; 5]));
    assert_eq!(database.count("sti_legacy_archive"), 6);
}

/// Another tool brought the columns back, and somebody wrote to them: neither side is known to be right.
fn a_value_that_somebody_else_wrote_stays(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    crate::repository::rig::add_columns(database);
    let one = "WHERE id = '00000000000000000000000000000001'";
    database
        .execute(&format!("UPDATE projects_project SET teacher_name = 'by hand', course_name = 'a' {one}"));
    let Restoration::NotVerified { restored, report } = try_restore(database, &chunks_of(2)).unwrap() else {
        panic!("not found out");
    };
    assert_eq!(restored.refilled.left, 1);
    assert_eq!(report.count(Class::Drift), 1);
    assert_eq!(report.samples[0].projects[0].id, id(1));
    assert_eq!(legacy(database, id(1)), values(&[Some("a"), Some(""), Some("by hand"), None, None]));
    assert_eq!(database.count("sti_drop_event WHERE restored_at IS NULL"), 1);
    // Somebody decides.
    database.execute("UPDATE projects_schoolproject SET teacher_name = 'by hand' WHERE course_name = 'a'");
    super::rig::restored(database);
    assert_eq!(legacy(database, id(1)), values(&[Some("a"), Some(""), Some("by hand"), None, None]));
}

fn definitions_come_back(database: &TestDatabase) {
    migrate(database);
    database.execute(database.either(
        "ALTER TABLE projects_project ALTER COLUMN course_code TYPE varchar(77) COLLATE \"C\", \
         ALTER COLUMN teacher_name SET DEFAULT 'nobody'; \
         COMMENT ON COLUMN projects_project.course_name IS 'it''s a name'",
        "ALTER TABLE projects_project DROP COLUMN course_code; \
         ALTER TABLE projects_project ADD COLUMN course_code varchar(77) COLLATE NOCASE; \
         ALTER TABLE projects_project DROP COLUMN teacher_name; \
         ALTER TABLE projects_project ADD COLUMN teacher_name varchar(255) DEFAULT 'nobody'",
    ));
    insert(database, 1, "other", [Some("a"), None, None, None, None]);
    let before = definitions(database);
    drop_by_hand(database);
    restored(database);
    assert_eq!(definitions(database), before);
    assert_eq!(legacy(database, id(1)), values(&[Some("a"), None, None, None, None]), "and no default");
}

fn drop_and_restore_twice(database: &TestDatabase) {
    plant(database);
    let before = legacy_digest(database);
    for round in 1..=2 {
        drop_by_hand(database);
        restored(database);
        finished(database);
        assert_eq!(legacy_digest(database), before, "round {round}");
        assert_eq!(leftovers(database), 0);
    }
    assert_eq!(database.count("sti_drop_event WHERE finished_at IS NOT NULL"), 2);
    assert_eq!(row(database, SelfStudy, id(2)).unwrap()[0], LONG);
}

/// With all its flaws: they come back as well, and the event stays open.
fn the_digest_of_the_fixture_is_unchanged(database: &TestDatabase) {
    migrate(database);
    let before = legacy_digest(database);
    drop_by_hand(database);
    let Restoration::NotVerified { restored, report } = try_restore(database, &chunks_of(1000)).unwrap()
    else {
        panic!("the fixture has drift");
    };
    assert_eq!(legacy_digest(database).to_string(), before.to_string());
    assert_eq!((restored.refilled.projects, restored.refilled.archived), (10_000, 10_000));
    assert_eq!((restored.refilled.superseded, restored.refilled.left), (0, 0));
    assert!(report.count(Class::Drift) > 0);
}

fn the_fixture_without_its_flaws_is_restored(database: &TestDatabase) {
    migrate(database);
    // Every project of a known type has its row, and no other.
    database.execute(
        "BEGIN; UPDATE projects_project SET school_project_id = NULL, self_study_project_id = NULL; \
         DELETE FROM projects_schoolproject; DELETE FROM projects_selfstudyproject; \
         INSERT INTO projects_schoolproject (project_id, course_name, course_code, teacher_name) \
         SELECT id, COALESCE(course_name, ''), COALESCE(course_code, ''), COALESCE(teacher_name, '') \
         FROM projects_project WHERE project_type = 'school'; \
         INSERT INTO projects_selfstudyproject (project_id, goal_description, study_frequency) \
         SELECT id, COALESCE(goal_description, ''), COALESCE(study_frequency, '') \
         FROM projects_project WHERE project_type = 'self_study'; COMMIT",
    );
    let before = legacy_digest(database);
    for _ in 1..=2 {
        drop_by_hand(database);
        let restoration = try_restore(database, &chunks_of(1000)).unwrap();
        assert!(
            matches!(restoration, Restoration::Done(ref done) if done.verified == 10_000),
            "{restoration:?}"
        );
        assert_eq!(legacy_digest(database).to_string(), before.to_string());
        finished(database);
    }
}

/// The subtype column is wider than the legacy one was: what it may hold by now must fit.
#[test]
fn a_column_comes_back_as_wide_as_the_subtype_column() {
    let database = &another(&TestDatabase::postgres());
    plant(database);
    database.execute("ALTER TABLE projects_schoolproject ALTER COLUMN course_code TYPE text");
    drop_by_hand(database);
    let long = "x".repeat(60);
    database
        .execute(&format!("UPDATE projects_schoolproject SET course_code = '{long}' WHERE course_code = ''"));
    let restored = restored(database);
    let widened = restored.began.unwrap().widened;
    assert_eq!(widened.len(), 1);
    assert_eq!(
        widened[0].to_string(),
        "course_code is text now and was varchar(50): as wide as the subtype column, whose values must fit"
    );
    assert_eq!(legacy(database, id(1))[1].as_deref(), Some(long.as_str()));
    // And what a service writes fits too.
    database.execute(&format!("UPDATE projects_schoolproject SET course_code = '{long}{long}'"));
    assert_eq!(legacy(database, id(6))[1], Some(format!("{long}{long}")));
}
