//! Purging an archive: never the only copy.

use sti_core::backfill::StopSignal;
use sti_core::both_backends;
use sti_core::contract::purge::{Purge, PurgeError, PurgeOptions, PurgePlan, PurgeRefusal};
use sti_core::contract::purge::{archives, execute, plan};
use sti_core::db::{Access, DatabaseUrl, connect};
use sti_core::models::Kind::School;
use sti_core::test_support::TestDatabase;
use sti_core::test_support::postgres::{Cut, CuttingProxy};

use crate::backfill::rig::stop_behind_a_chunk;
use crate::repository::rig::{drop_columns, insert, insert_row, migrate, owner};
use crate::restore::rig::{drop_by_hand, finished, legacy_digest, restored};

both_backends! {
    only_when_it_is_restored_and_finished,
    never_while_another_drop_is_open_or_its_restore_not_finished,
    never_while_columns_are_missing,
    it_counts_what_the_legacy_columns_do_not_hold,
    another_digest_is_a_refusal,
    no_such_drop,
    stopped_behind_a_chunk_it_goes_on_with_a_new_plan,
}

fn plant(database: &TestDatabase) {
    migrate(database);
    insert(database, 1, "school", [Some("a"), None, Some(""), None, None]);
    insert_row(database, School, 1, &["a", "", ""]);
    insert(database, 2, "other", [Some("b"), None, None, None, None]);
    insert(database, 3, "other", [Some("c"), None, None, None, None]);
}

fn planned(database: &TestDatabase) -> PurgePlan {
    plan(&mut owner(database), 1).unwrap()
}

fn of_first(digest: &str) -> PurgeOptions {
    PurgeOptions { event: 1, confirm: digest.to_owned(), stop: StopSignal::default() }
}

/// Plans, confirms and executes.
fn purged(database: &TestDatabase) -> Purge {
    execute(&mut || Ok(owner(database)), &of_first(&planned(database).digest), &mut |_| ()).unwrap()
}

#[track_caller]
fn refused(database: &TestDatabase, expected: PurgeRefusal) {
    let before = database.count("sti_legacy_archive");
    let Purge::Refused(plan) = purged(database) else { panic!("not refused") };
    assert_eq!(plan.refusal, Some(expected));
    assert_eq!(database.count("sti_legacy_archive"), before);
}

fn only_when_it_is_restored_and_finished(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    refused(database, PurgeRefusal::NotRestored);
    restored(database);
    refused(database, PurgeRefusal::NotFinished(Some(1)));
    finished(database);
    let before = legacy_digest(database);
    let Purge::Done { plan, deleted } = purged(database) else { panic!("refused") };
    assert_eq!((plan.rows, deleted), (3, 3));
    assert_eq!(database.count("sti_legacy_archive"), 0);
    assert_eq!(legacy_digest(database), before);
    let Purge::Done { deleted: 0, .. } = purged(database) else { panic!("again?") };
    let archives = archives(&mut owner(database)).unwrap();
    assert_eq!((archives.len(), archives[0].rows, archives[0].event.archived), (1, 0, Some(3)));
}

fn never_while_another_drop_is_open_or_its_restore_not_finished(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    restored(database);
    finished(database);
    drop_by_hand(database);
    refused(database, PurgeRefusal::OtherOpen(2));
    restored(database);
    refused(database, PurgeRefusal::NotFinished(Some(2)));
    assert_eq!(planned(database).other_archives, [2]);
    finished(database);
    let Purge::Done { deleted: 3, .. } = purged(database) else { panic!("refused") };
    assert_eq!(plan(&mut owner(database), 2).unwrap().other_archives, [0; 0]);
}

fn never_while_columns_are_missing(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    restored(database);
    finished(database);
    drop_columns(database, &["course_code"]);
    refused(database, PurgeRefusal::ColumnsMissing);
}

fn it_counts_what_the_legacy_columns_do_not_hold(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    database.execute(
        "UPDATE projects_schoolproject SET course_name = 'new'; \
         DELETE FROM projects_project WHERE id = '00000000000000000000000000000002'",
    );
    restored(database);
    finished(database);
    let plan = planned(database);
    assert_eq!((plan.rows, plan.projects_gone, plan.changed_since), (3, 1, 1));
}

fn another_digest_is_a_refusal(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    restored(database);
    finished(database);
    let Purge::Refused(plan) =
        execute(&mut || Ok(owner(database)), &of_first("0123456789ab"), &mut |_| ()).unwrap()
    else {
        panic!("done")
    };
    assert_eq!(plan.refusal, None);
    assert_eq!(database.count("sti_legacy_archive"), 3);
}

fn no_such_drop(database: &TestDatabase) {
    plant(database);
    let error = plan(&mut owner(database), 7).unwrap_err();
    assert!(matches!(error, PurgeError::NoSuchEvent { event: 7 }), "{error}");
    let empty = crate::repository::rig::another(database);
    let error = plan(&mut owner(&empty), 1).unwrap_err();
    assert!(matches!(error, PurgeError::NoSuchEvent { event: 1 }), "{error}");
    assert!(archives(&mut owner(&empty)).unwrap().is_empty());
}

/// What became of a chunk whose COMMIT has no answer is looked up, and each row is counted once.
#[test]
fn a_lost_commit_is_looked_up() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let database = &TestDatabase::postgres();
        plant(database);
        drop_by_hand(database);
        restored(database);
        finished(database);
        let digest = planned(database).digest;
        let marker = "DELETE FROM sti_legacy_archive";
        let through = |proxy: &CuttingProxy| {
            let url = DatabaseUrl::parse(proxy.url()).unwrap();
            execute(&mut || connect(&url, Access::Write, "purge"), &of_first(&digest), &mut |_| ())
        };
        if cut == Cut::BeforeCommit {
            let proxy = CuttingProxy::before_and_unreachable_afterwards(database, marker, cut);
            let error = through(&proxy).unwrap_err();
            assert!(matches!(error, PurgeError::Unknown(_)), "{error:?}");
        }
        let proxy = CuttingProxy::before(database, marker, cut);
        let purge = through(&proxy).unwrap();
        assert!(proxy.has_cut());
        assert!(matches!(purge, Purge::Done { deleted: 3, .. }), "{cut:?}: {purge:?}");
        assert_eq!(database.count("sti_legacy_archive"), 0);
    }
}

fn stopped_behind_a_chunk_it_goes_on_with_a_new_plan(database: &TestDatabase) {
    plant(database);
    drop_by_hand(database);
    restored(database);
    finished(database);
    // Of projects that have gone since; a chunk has 10,000.
    let id = database.either("('f' || lpad(to_hex(n), 31, '0'))::uuid", "printf('f%031x', n)");
    database.execute(&format!(
        "INSERT INTO sti_legacy_archive (event_id, project_id, project_type, has_school, has_self_study) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10500) \
         SELECT 1, {id}, 'other', false, false FROM numbers"
    ));
    let before = legacy_digest(database);
    let mut options = of_first(&planned(database).digest);
    let stop = options.stop.clone();
    let mut told = Vec::new();
    let stopped = execute(&mut || Ok(owner(database)), &options, &mut stop_behind_a_chunk(&stop, &mut told));
    let Purge::Stopped { plan, deleted } = stopped.unwrap() else { panic!("not stopped") };
    assert_eq!((plan.rows, deleted), (10_503, 10_000));
    assert_eq!(told, ["Begun { of: 10503 }", "Committed { done: 10000 }"]);
    assert_eq!(database.count("sti_legacy_archive"), 503);
    options.stop = StopSignal::default();
    let again = execute(&mut || Ok(owner(database)), &options, &mut |_| ()).unwrap();
    assert!(matches!(again, Purge::Refused(_)), "the plan is another one now: {again:?}");
    // Asked in the last chunk: there is nothing to be stopped.
    options.confirm = planned(database).digest;
    let stop = options.stop.clone();
    let done = execute(&mut || Ok(owner(database)), &options, &mut |_| stop.stop()).unwrap();
    let Purge::Stopped { deleted: 0, .. } = done else { panic!("not stopped: {done:?}") };
    options.stop = StopSignal::default();
    let stop = options.stop.clone();
    let done =
        execute(&mut || Ok(owner(database)), &options, &mut stop_behind_a_chunk(&stop, &mut Vec::new()));
    let Purge::Done { deleted, .. } = done.unwrap() else { panic!("not done") };
    assert_eq!((deleted, database.count("sti_legacy_archive")), (503, 0));
    assert_eq!(legacy_digest(database), before);
}
