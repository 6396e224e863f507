//! What confirms a drop, and what no longer does.

use std::time::Duration;

use sti_core::both_backends;
use sti_core::contract::{Answer, DropOptions, Outcome, Refusal, VALID};
use sti_core::probe::Step;
use sti_core::test_support::TestDatabase;

use super::rig::{another, columns_left, drop_with, everything, once_at, options, planned, ready, waiving};

both_backends! {
    another_digest_is_refused,
    a_digest_is_good_for_a_day,
    a_digest_outlives_writes_that_change_no_verdict,
    a_drop_that_was_made_is_found_by_its_digest,
    a_schema_that_changes_before_the_locks_is_another_one,
}

/// Refused without a lock, and nothing changed.
#[track_caller]
fn refusal(database: &TestDatabase, options: &DropOptions, digest: &str) -> Refusal {
    let before = everything(database);
    let Outcome::Refused { why, .. } = drop_with(database.url(), options, digest).unwrap() else {
        panic!("not refused")
    };
    assert_eq!((columns_left(database), everything(database)), (5, before));
    why
}

fn another_digest_is_refused(database: &TestDatabase) {
    ready(database);
    let plan = planned(database, &options());
    let another_plan = |given: &str| Refusal::AnotherPlan { given: given.to_owned() };
    for wrong in
        ["", "000000000000", &plan.digest[..11], &plan.digest.to_uppercase().replace(char::is_numeric, "0")]
    {
        assert_eq!(refusal(database, &options(), wrong), another_plan(wrong));
    }
    // Other waivers, or the same with another count.
    let waived = waiving(&["stray-values=1"]);
    assert_eq!(refusal(database, &waived, &plan.digest), another_plan(&plan.digest));
    let digest = planned(database, &waived).digest;
    assert_eq!(refusal(database, &waiving(&["stray-values=2"]), &digest), another_plan(&digest));
    assert_eq!(refusal(database, &options(), &digest), another_plan(&digest));
    // Another database.
    let other = another(database);
    ready(&other);
    let digest = planned(&other, &options()).digest;
    assert_eq!(refusal(database, &options(), &digest), another_plan(&digest));
    // A gate that has shut: whoever confirmed an open plan is told which.
    let gone = "DELETE FROM projects_selfstudyproject";
    database.execute(gone);
    assert_eq!(refusal(database, &options(), &plan.digest), Refusal::Gates);
}

fn a_digest_is_good_for_a_day(database: &TestDatabase) {
    ready(database);
    let made = |ago: Duration| {
        let mut options = options();
        options.plan_age = ago;
        planned(database, &options).digest
    };
    let hour = Duration::from_secs(3600);
    let stale = made(VALID + hour);
    match refusal(database, &options(), &stale) {
        Refusal::Expired { given, age } => {
            assert_eq!(given, stale);
            assert!(age >= VALID + hour && age < VALID + 2 * hour, "{age:?}");
        }
        other => panic!("{other:?}"),
    }
    let very_old = made(30 * VALID);
    assert!(matches!(refusal(database, &options(), &very_old), Refusal::AnotherPlan { .. }));
    let good = drop_with(database.url(), &options(), &made(VALID - hour)).unwrap();
    assert!(matches!(good, Outcome::Done(_)), "{good:?}");
}

fn a_digest_outlives_writes_that_change_no_verdict(database: &TestDatabase) {
    ready(database);
    let digest = planned(database, &options()).digest;
    crate::verify::rig::draft(database, 50, "school", crate::verify::rig::NOTHING);
    database.execute("UPDATE projects_project SET name = 'renamed'");
    let done = drop_with(database.url(), &options(), &digest).unwrap();
    assert!(matches!(done, Outcome::Done(done) if done.archived == 5));
}

/// A command that was killed, or whose outcome was unknown, is given again.
fn a_drop_that_was_made_is_found_by_its_digest(database: &TestDatabase) {
    ready(database);
    let digest = planned(database, &options()).digest;
    let Outcome::Done(done) = drop_with(database.url(), &options(), &digest).unwrap() else {
        panic!("not dropped")
    };
    let before = database.count("sti_legacy_archive");
    let Outcome::Done(again) = drop_with(database.url(), &options(), &digest).unwrap() else {
        panic!("not found")
    };
    assert_eq!(
        (again.event, again.answer, again.archived, again.attempts),
        (done.event, Answer::Earlier, 4, 0)
    );
    assert_eq!((database.count("sti_drop_event"), database.count("sti_legacy_archive")), (1, before));
    let error = drop_with(database.url(), &options(), "000000000000").unwrap_err();
    assert!(error.to_string().contains("dropped already"), "{error}");
}

/// What was confirmed is what is dropped: somebody has changed a column since.
fn a_schema_that_changes_before_the_locks_is_another_one(database: &TestDatabase) {
    ready(database);
    let digest = planned(database, &options()).digest;
    let url = database.url().to_owned();
    let change = "ALTER TABLE projects_project ADD COLUMN note text";
    let mut options = options();
    options.probe = once_at(Step::Begin, move || {
        use diesel::connection::SimpleConnection as _;
        super::rig::connector(&url)().unwrap().batch_execute(change).unwrap();
    });
    let refused = drop_with(database.url(), &options, &digest).unwrap();
    let Outcome::Refused { why: Refusal::AnotherPlan { given }, plan } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(given, digest);
    assert!(plan.is_open());
    assert_eq!((columns_left(database), database.count("sti_drop_event")), (5, 0));
}
