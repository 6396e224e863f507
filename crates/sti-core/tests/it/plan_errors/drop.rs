//! What the plan's drop loses, and ours refuses or keeps. The plan's migration checks its counts and then drops.

use std::thread::{self, JoinHandle};

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use sti_core::backfill::Scope;
use sti_core::contract::{Gate, Outcome, Refusal};
use sti_core::db::AnyConnection;
use sti_core::probe::{Sabotage, Step};
use sti_core::test_support::TestDatabase;

use super::{plans_guard_passes, school_row, self_study_row};
use crate::backfill::rig::{config, id, insert_project, migrate, run};
use crate::contract::rig::{
    LEGACY, another, columns_left, connector, drop_with, dropped, once_at, options, planned, shut, try_drop,
    waiving,
};

sti_core::both_backends! {
    error_1_the_counting_guard_passes_where_ours_refuses,
    error_2_the_values_of_drafts_are_dropped,
    error_4_stray_values_are_dropped,
    error_5_counting_and_then_dropping_is_a_race,
    error_5_a_write_before_the_locks_is_seen_under_them,
}

/// The plan's migration, behind its guard.
fn plans_drop(database: &TestDatabase) {
    assert!(plans_guard_passes(database));
    drop_columns(database);
}

fn drop_columns(database: &TestDatabase) {
    let drops = LEGACY.map(|column| format!("ALTER TABLE projects_project DROP COLUMN {column};"));
    database.execute(&drops.concat());
}

/// Whether any table still holds this text.
fn is_kept(database: &TestDatabase, text: &str) -> bool {
    let tables = [
        ("projects_schoolproject", &LEGACY[..3]),
        ("projects_selfstudyproject", &LEGACY[3..]),
        ("sti_legacy_archive", &LEGACY[..]),
    ];
    tables.into_iter().any(|(table, columns)| {
        let holds: Vec<String> = columns.iter().map(|column| format!("{column} = '{text}'")).collect();
        database.count(&format!("{table} WHERE {}", holds.join(" OR "))) > 0
    })
}

fn error_1_the_counting_guard_passes_where_ours_refuses(database: &TestDatabase) {
    migrate(database);
    for number in 1..=2 {
        insert_project(database, number, "school", false);
    }
    school_row(database, 1, "course 1");
    self_study_row(database, 1);
    assert!(plans_guard_passes(database));
    assert_eq!(shut(&planned(database, &options())), [Gate::Coverage, Gate::BothKinds]);
    let refused = try_drop(database, &options()).unwrap();
    assert!(matches!(refused, Outcome::Refused { why: Refusal::Gates, .. }), "{refused:?}");
    assert_eq!(columns_left(database), 5);

    plans_drop(database);
    assert!(!is_kept(database, "course 2"));
}

fn error_2_the_values_of_drafts_are_dropped(database: &TestDatabase) {
    let with_draft = |database: &TestDatabase| {
        migrate(database);
        insert_project(database, 1, "school", false);
        insert_project(database, 2, "self_study", true);
        run(database, &config(10, Scope::NonDraft)).unwrap();
    };
    let theirs = another(database);
    with_draft(&theirs);
    plans_drop(&theirs);
    assert!(!is_kept(&theirs, "goal 2"));

    with_draft(database);
    assert_eq!(shut(&planned(database, &options())), [Gate::DraftValues]);
    run(database, &config(10, Scope::All)).unwrap();
    dropped(database, &options());
    assert!(is_kept(database, "goal 2"));
    assert_eq!(database.count("projects_selfstudyproject WHERE goal_description = 'goal 2'"), 1);
}

fn error_4_stray_values_are_dropped(database: &TestDatabase) {
    let with_stray = |database: &TestDatabase| {
        migrate(database);
        insert_project(database, 1, "school", false);
        database.execute("UPDATE projects_project SET goal_description = 'only here'");
        run(database, &config(10, Scope::NonDraft)).unwrap();
    };
    let theirs = another(database);
    with_stray(&theirs);
    plans_drop(&theirs);
    assert!(!is_kept(&theirs, "only here"));

    with_stray(database);
    assert_eq!(shut(&planned(database, &options())), [Gate::StrayValues]);
    dropped(database, &waiving(&["stray-values=1"]));
    assert_eq!(database.count("sti_legacy_archive WHERE goal_description = 'only here'"), 1);
}

/// A school project whose sides are equal.
fn one_school(database: &TestDatabase) {
    migrate(database);
    insert_project(database, 1, "school", false);
    run(database, &config(10, Scope::All)).unwrap();
}

const LATE: &str = "UPDATE projects_project SET course_name = 'late'";

/// A service that knows nothing of subtype rows writes while the drop stands between its check and its drop. Comes
/// back when that service has its answer or waits for a lock; on SQLite it waits for so long itself.
fn writes_meanwhile(url: &str, sqlite_waits_ms: u32) -> JoinHandle<Result<(), String>> {
    let mut connection = connector(url)().unwrap();
    let write = thread::spawn(move || {
        let session = if matches!(connection, AnyConnection::Pg(_)) {
            "SET application_name = 'service'".to_owned()
        } else {
            format!("PRAGMA busy_timeout = {sqlite_waits_ms}")
        };
        connection.batch_execute(&session).unwrap();
        connection.batch_execute(LATE).map_err(|error| error.to_string())
    });
    let mut watch = connector(url)().unwrap();
    let mut waits = || url.starts_with("postgres") && service_waits(&mut watch);
    while !(write.is_finished() || waits()) {
        thread::yield_now();
    }
    write
}

fn service_waits(watch: &mut AnyConnection) -> bool {
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'service' AND wait_event_type = 'Lock'";
    diesel::sql_query(waiting).execute(watch).unwrap() > 0
}

/// The write comes between check and drop: the plan's order loses it, and nobody is told. With ours it waits for the
/// locks, and is told that the column is gone (SQLite: that the database is locked).
fn error_5_counting_and_then_dropping_is_a_race(database: &TestDatabase) {
    let theirs = another(database);
    one_school(&theirs);
    assert!(plans_guard_passes(&theirs));
    theirs.execute(LATE);
    drop_columns(&theirs);
    assert!(!is_kept(&theirs, "late"), "committed, acknowledged, lost");

    for step in [Step::Look, Step::Write, Step::Drop] {
        let database = &another(database);
        one_school(database);
        let (answer, url) = (std::sync::mpsc::channel(), database.url().to_owned());
        let mut options = options();
        options.probe = once_at(step, move || answer.0.send(writes_meanwhile(&url, 0)).unwrap());
        dropped(database, &options);
        let told = answer.1.recv().unwrap().join().unwrap().unwrap_err();
        let expected = database.either("column \"course_name\"", "database is locked");
        assert!(told.contains(expected), "{step:?}: {told}");
        assert!(!is_kept(database, "late") && is_kept(database, "course 1"), "{step:?}");
    }
}

/// What the locks are for: without them, our order loses the write too.
#[test]
fn error_5_without_the_locks_the_write_is_lost() {
    let database = TestDatabase::postgres();
    one_school(&database);
    let (answer, url) = (std::sync::mpsc::channel(), database.url().to_owned());
    let mut options = options();
    let probe = once_at(Step::Drop, move || answer.0.send(writes_meanwhile(&url, 0)).unwrap());
    options.probe = probe.with_sabotage(Sabotage::Lock);
    dropped(&database, &options);
    answer.1.recv().unwrap().join().unwrap().unwrap();
    assert!(!is_kept(&database, "late"), "committed, acknowledged, lost");
}

/// The write comes after the plan was made and confirmed, and commits before the locks: the gates under them see it.
fn error_5_a_write_before_the_locks_is_seen_under_them(database: &TestDatabase) {
    one_school(database);
    let digest = planned(database, &options()).digest;
    let url = database.url().to_owned();
    let mut options = options();
    options.probe = once_at(Step::Begin, move || writes_meanwhile(&url, 5000).join().unwrap().unwrap());
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    let Outcome::Refused { plan, why: Refusal::GatesUnderLock } = outcome else { panic!("{outcome:?}") };
    let all = [Gate::Drift, Gate::LegacyWriters];
    // A change log tells who has written, too.
    assert_eq!(shut(&plan), all[..if database.backend_name() == "postgres" { 2 } else { 1 }]);
    assert_eq!(plan.gate(Gate::Drift).unwrap().ids, [id(1).parse().unwrap()]);
    assert_eq!(columns_left(database), 5);
    assert_eq!(database.value("SELECT course_name FROM projects_project"), "late");
    assert_eq!((database.count("sti_drop_event"), database.count("sti_legacy_archive")), (0, 0));
}
