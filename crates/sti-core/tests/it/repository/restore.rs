//! The legacy columns come back: at first empty, then filled.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use sti_core::models::Kind;
use sti_core::repository::{ListQuery, SchoolPatch, TypeChange};
use sti_core::test_support::TestDatabase;
use sti_core::{WriteMode, both_backends};

use super::rig::{
    add_columns, another, begin, commit, details_of, drop_legacy, finish_restore, id, insert, insert_row,
    legacy, migrate, new_school, open, owner, publish, row, teacher, texts, values,
};

both_backends! {
    columns_that_come_back_are_noticed_and_written,
    between_two_looks_nothing_is_looked_at,
    a_service_that_slept_through_the_drop_does_not_take_empty_columns_for_the_truth,
    a_service_that_slept_through_drop_and_restore_goes_on,
    dual_mode_reads_the_legacy_columns_again_when_they_are_filled,
    drop_restore_and_drop_again,
    a_call_that_waits_for_long_notices_the_columns_all_the_same,
    what_a_host_sees_in_an_old_snapshot_is_for_its_call_alone,
}

/// No look at the catalogue falls due.
const FAR: Duration = Duration::from_secs(3600);

const BOTH: [WriteMode; 2] = [WriteMode::Dual, WriteMode::Subtype];

/// Three school projects whose sides are equal.
fn three_schools(database: &TestDatabase) {
    migrate(database);
    for number in 1..=3 {
        insert(database, number, "school", [Some("a"), Some("b"), Some("c"), None, None]);
        insert_row(database, Kind::School, number, &["a", "b", "c"]);
    }
}

fn columns_that_come_back_are_noticed_and_written(database: &TestDatabase) {
    three_schools(database);
    drop_legacy(database);
    for (number, mode) in (1..).zip(BOTH) {
        let (mut connection, repository) = open(database, mode);
        let repository = repository.looking_again_after(Duration::ZERO);
        repository.update(&mut connection, id(number), &publish()).unwrap();
        if mode == WriteMode::Dual {
            add_columns(database);
        }
        let record = repository.update(&mut connection, id(number), &teacher("new")).unwrap();
        assert_eq!(details_of(&record), ["a", "b", "new"], "{mode}");
        assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["a", "b", "new"])));
        let filled = values(&[None, None, Some("new"), None, None]);
        assert_eq!(legacy(database, id(number)), filled, "the others are for the restore to fill");
        repository.create(&mut connection, &new_school(number + 10, "x", "", "z")).unwrap();
        let both = values(&[Some("x"), Some(""), Some("z"), None, None]);
        assert_eq!(legacy(database, id(number + 10)), both);
        assert_eq!(row(database, Kind::School, id(number + 10)), Some(texts(&["x", "", "z"])));
    }
}

fn between_two_looks_nothing_is_looked_at(database: &TestDatabase) {
    three_schools(database);
    drop_legacy(database);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let repository = repository.looking_again_after(FAR);
    add_columns(database);
    repository.update(&mut connection, id(1), &teacher("new")).unwrap();
    assert_eq!(legacy(database, id(1)), values(&[None; 5]), "the restore's own trigger fills what it wrote");
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["a", "b", "new"])));
    // The same facts, an hour later.
    let repository = repository.looking_again_after(Duration::ZERO);
    repository.update(&mut connection, id(1), &teacher("newer")).unwrap();
    assert_eq!(legacy(database, id(1)), values(&[None, None, Some("newer"), None, None]));
}

/// It opened before the drop, and does nothing until the columns are back and still empty.
fn a_service_that_slept_through_the_drop_does_not_take_empty_columns_for_the_truth(database: &TestDatabase) {
    for mode in BOTH {
        let database = &another(database);
        three_schools(database);
        let (mut connection, repository) = open(database, mode);
        // Each with what it knew before the drop.
        let [reader, lister, updater, changer] = [(); 4].map(|()| repository.looking_again_after(FAR));
        drop_legacy(database);
        add_columns(database);

        let whole = ["a", "b", "c"];
        assert_eq!(details_of(&reader.get(&mut connection, id(1)).unwrap()), whole, "{mode}");
        let query = ListQuery { limit: 1, ..ListQuery::default() };
        let listed = lister.list(&mut connection, &query).unwrap();
        assert_eq!(details_of(&listed[0]), whole, "{mode}");
        let record = updater.update(&mut connection, id(1), &publish()).unwrap();
        assert_eq!(details_of(&record), whole, "{mode}");
        let same = TypeChange::School(SchoolPatch::default());
        let record = changer.change_type(&mut connection, id(2), &same).unwrap();
        assert_eq!(details_of(&record), whole, "{mode}");
        for number in [1, 2] {
            assert_eq!(row(database, Kind::School, id(number)), Some(texts(&whole)), "{mode}");
        }
    }
}

fn a_service_that_slept_through_drop_and_restore_goes_on(database: &TestDatabase) {
    three_schools(database);
    for (number, mode) in (1..).zip(BOTH) {
        let (mut connection, repository) = open(database, mode);
        drop_legacy(database);
        add_columns(database);
        finish_restore(database);
        let record = repository.update(&mut connection, id(number), &teacher("new")).unwrap();
        assert_eq!(details_of(&record), ["a", "b", "new"]);
        assert_eq!(legacy(database, id(number)), values(&[Some("a"), Some("b"), Some("new"), None, None]));
        assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["a", "b", "new"])));
    }
}

fn dual_mode_reads_the_legacy_columns_again_when_they_are_filled(database: &TestDatabase) {
    three_schools(database);
    drop_legacy(database);
    let (mut connection, repository) = open(database, WriteMode::Dual);
    let repository = repository.looking_again_after(Duration::ZERO);
    add_columns(database);
    assert_eq!(details_of(&repository.get(&mut connection, id(1)).unwrap()), ["a", "b", "c"]);
    finish_restore(database);
    database.execute("UPDATE projects_project SET course_name = 'legacy'");
    assert_eq!(details_of(&repository.get(&mut connection, id(1)).unwrap()), ["legacy", "b", "c"]);
    repository.update(&mut connection, id(1), &publish()).unwrap();
    assert_eq!(row(database, Kind::School, id(1)), Some(texts(&["legacy", "b", "c"])));
}

fn drop_restore_and_drop_again(database: &TestDatabase) {
    three_schools(database);
    for (number, mode) in (1..).zip(BOTH) {
        let (mut connection, repository) = open(database, mode);
        let repository = repository.looking_again_after(Duration::ZERO);
        for teacher_name in ["one", "two"] {
            drop_legacy(database);
            repository.update(&mut connection, id(number), &teacher(teacher_name)).unwrap();
            assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["a", "b", teacher_name])));
            add_columns(database);
            finish_restore(database);
            repository.update(&mut connection, id(number), &teacher("restored")).unwrap();
            let both = values(&[Some("a"), Some("b"), Some("restored"), None, None]);
            assert_eq!(legacy(database, id(number)), both);
        }
    }
}

/// It found the columns gone, and then waited for a lock for longer than it may go without a look: by now the triggers of
/// the restore may have gone too.
fn a_call_that_waits_for_long_notices_the_columns_all_the_same(database: &TestDatabase) {
    const INTERVAL: Duration = Duration::from_millis(500);
    three_schools(database);
    for (number, mode) in (1..).zip(BOTH) {
        drop_legacy(database);
        let (mut connection, repository) = open(database, mode);
        let repository = repository.looking_again_after(INTERVAL);
        add_columns(database);
        let mut other = owner(database);
        other.batch_execute(database.either("BEGIN", "BEGIN IMMEDIATE")).unwrap();
        let one = id(number).hex();
        let lock = format!("UPDATE projects_project SET name = name WHERE id = '{one}'");
        other.batch_execute(&lock).unwrap();
        std::thread::scope(|scope| {
            let call =
                scope.spawn(|| repository.update(&mut connection, id(number), &teacher("new")).unwrap());
            std::thread::sleep(2 * INTERVAL);
            assert!(!call.is_finished(), "{mode}: it did not wait");
            other.batch_execute("COMMIT").unwrap();
            assert_eq!(details_of(&call.join().unwrap()), ["a", "b", "new"], "{mode}");
        });
        assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["a", "b", "new"])), "{mode}");
        let noticed = values(&[None, None, Some("new"), None, None]);
        assert_eq!(legacy(database, id(number)), noticed, "{mode}: no trigger is there to bring it over");
        finish_restore(database);
    }
}

/// A host that pages through all projects in one snapshot, from before the restore: the columns are gone there, and nowhere
/// else.
fn what_a_host_sees_in_an_old_snapshot_is_for_its_call_alone(database: &TestDatabase) {
    three_schools(database);
    if database.path().is_some() {
        // Where a reader does not stand in the way of a writer.
        database.execute("PRAGMA journal_mode = WAL");
    }
    for (number, mode) in (1..).zip(BOTH) {
        let (mut service, repository) = open(database, mode);
        let repository = repository.looking_again_after(FAR);
        drop_legacy(database);
        let mut host = owner(database);
        begin(&mut host);
        let level = database.either("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ", "");
        host.batch_execute(&format!("{level}SELECT count(*) FROM sti_drop_event")).unwrap();
        add_columns(database);
        finish_restore(database);
        assert_eq!(details_of(&repository.get(&mut host, id(number)).unwrap()), ["a", "b", "c"], "{mode}");
        repository.update(&mut service, id(number), &teacher("new")).unwrap();
        let both = values(&[Some("a"), Some("b"), Some("new"), None, None]);
        assert_eq!(legacy(database, id(number)), both, "{mode}: both sides are written");
        assert_eq!(row(database, Kind::School, id(number)), Some(texts(&["a", "b", "new"])), "{mode}");
        commit(&mut host).unwrap();
    }
}
