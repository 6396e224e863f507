//! When a repository opens, and when it refuses.

use sti_core::models::Kind;
use sti_core::repository::RepositoryError;
use sti_core::test_support::TestDatabase;
use sti_core::{ProjectRepository, WriteMode, both_backends};

use super::rig::{
    LEGACY, MODES, add_columns, application, drop_columns, drop_legacy, finish_restore, migrate, owner,
    record_drop,
};

both_backends! {
    every_mode_opens_after_up,
    before_up_only_legacy_opens,
    without_the_drop_event_table_both_sides_are_refused,
    without_any_table_every_mode_says_so,
    after_the_drop_legacy_is_refused,
    half_a_drop_is_refused_by_name,
    a_drop_that_nobody_recorded_is_refused,
    an_unfinished_restore_is_refused_in_legacy_mode_only,
}

#[test]
fn a_repository_can_be_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<ProjectRepository>();
}

#[track_caller]
fn refusal(database: &TestDatabase, mode: WriteMode) -> String {
    let error = ProjectRepository::open(&mut application(database), mode).unwrap_err();
    assert!(
        matches!(error, RepositoryError::SchemaNotReady { .. } | RepositoryError::LegacyColumnsGone),
        "{error:?}"
    );
    error.to_string()
}

#[track_caller]
fn opens(database: &TestDatabase, mode: WriteMode) {
    let repository = ProjectRepository::open(&mut application(database), mode).unwrap();
    assert_eq!(repository.mode(), mode);
}

fn every_mode_opens_after_up(database: &TestDatabase) {
    migrate(database);
    for mode in MODES {
        opens(database, mode);
    }
}

fn before_up_only_legacy_opens(database: &TestDatabase) {
    migrate(database);
    for kind in Kind::ALL {
        database.execute(&format!("DROP TABLE {}", kind.table()));
    }
    opens(database, WriteMode::Legacy);
    for mode in [WriteMode::Dual, WriteMode::Subtype] {
        assert_eq!(
            refusal(database, mode),
            format!(
                "the schema is not ready for {mode} mode: there is no table projects_schoolproject, \
                 projects_selfstudyproject; run `sti-migrate up`"
            )
        );
    }
}

fn without_the_drop_event_table_both_sides_are_refused(database: &TestDatabase) {
    migrate(database);
    database.execute("DROP TABLE sti_legacy_archive; DROP TABLE sti_drop_run; DROP TABLE sti_drop_event");
    opens(database, WriteMode::Legacy);
    for mode in [WriteMode::Dual, WriteMode::Subtype] {
        assert!(refusal(database, mode).ends_with("there is no table sti_drop_event; run `sti-migrate up`"));
    }
}

fn without_any_table_every_mode_says_so(database: &TestDatabase) {
    for mode in MODES {
        let error = ProjectRepository::open(&mut owner(database), mode).unwrap_err();
        assert!(error.to_string().contains("no table projects_project; run `sti-migrate up`"), "{error}");
    }
}

fn after_the_drop_legacy_is_refused(database: &TestDatabase) {
    migrate(database);
    drop_legacy(database);
    assert!(refusal(database, WriteMode::Legacy).contains("set ENABLE_STI=subtype"));
    opens(database, WriteMode::Dual);
    opens(database, WriteMode::Subtype);
}

fn half_a_drop_is_refused_by_name(database: &TestDatabase) {
    migrate(database);
    drop_columns(database, &LEGACY[1..4]);
    record_drop(database);
    for mode in MODES {
        let message = refusal(database, mode);
        assert!(message.contains("course_code, teacher_name, goal_description are missing"), "{message}");
    }
}

fn a_drop_that_nobody_recorded_is_refused(database: &TestDatabase) {
    migrate(database);
    drop_columns(database, &LEGACY);
    for mode in [WriteMode::Dual, WriteMode::Subtype] {
        assert!(refusal(database, mode).contains("sti_drop_event records no drop"));
    }
    refusal(database, WriteMode::Legacy);
}

fn an_unfinished_restore_is_refused_in_legacy_mode_only(database: &TestDatabase) {
    migrate(database);
    drop_legacy(database);
    add_columns(database);
    assert!(refusal(database, WriteMode::Legacy).contains("finish `sti-migrate restore-legacy`"));
    opens(database, WriteMode::Dual);
    opens(database, WriteMode::Subtype);
    finish_restore(database);
    for mode in MODES {
        opens(database, mode);
    }
}
