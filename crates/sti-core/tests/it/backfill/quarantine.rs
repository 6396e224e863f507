//! Rows that the database refuses: found, put into quarantine, counted, and tried again.

use sti_core::backfill::{
    Ending, ErrorRate, Owner, PerKind, Quarantine, Retried, Scope, StopSignal, Totals, quarantine, retry,
};
use sti_core::models::ProjectId;
use sti_core::observe::{Event, Observer as _};
use sti_core::test_support::{TestDatabase, check_ledger};

use super::rig::{
    Recorder, config, id, insert_project, migrate, open, run, run_observed, stop_behind_a_chunk,
};

sti_core::both_backends! {
    a_poison_row_is_found_and_the_others_are_made,
    rows_that_are_only_refused_at_commit_are_found_too,
    a_project_that_has_its_row_is_not_refused,
    a_chunk_of_nothing_but_poison_is_found_out_in_parts,
    a_retry_makes_what_can_be_made_and_corrects_the_totals,
    a_retry_takes_out_what_is_gone,
    a_retry_that_is_stopped_is_gone_on_with,
    a_catch_up_sweep_leaves_the_quarantine_alone,
    a_complete_run_clears_the_quarantine_of_earlier_ones,
    a_project_that_two_runs_met_is_counted_once,
    too_many_errors_stop_the_run,
}

/// `projects` school projects; those whose number `is_poison` have a value that the rule refuses.
fn set_up(database: &TestDatabase, projects: u32, is_poison: impl Fn(u32) -> bool) {
    migrate(database);
    for number in 1..=projects {
        insert_project(database, number, "school", false);
    }
    let poison: Vec<String> =
        (1..=projects).filter(|n| is_poison(*n)).map(|n| format!("'{}'", id(n))).collect();
    database.execute(&format!(
        "UPDATE projects_project SET course_name = 'poison' WHERE id IN ({})",
        poison.join(", ")
    ));
}

fn refuse_poison(database: &TestDatabase) {
    database.execute(database.either(
        "ALTER TABLE projects_schoolproject ADD CONSTRAINT no_poison CHECK (course_name <> 'poison')",
        "DROP TABLE projects_schoolproject; CREATE TABLE projects_schoolproject (\
            project_id char(32) NOT NULL PRIMARY KEY REFERENCES projects_project (id) DEFERRABLE INITIALLY DEFERRED, \
            course_name varchar(255) NOT NULL CONSTRAINT no_poison CHECK (course_name <> 'poison'), \
            course_code varchar(50) NOT NULL, teacher_name varchar(255) NOT NULL)",
    ));
}

/// No row would be made of its values, and none is to be made.
fn a_project_that_has_its_row_is_not_refused(database: &TestDatabase) {
    set_up(database, 30, |number| number == 7 || number == 8);
    refuse_poison(database);
    database.execute(&format!(
        "INSERT INTO projects_schoolproject VALUES ('{}', 'drifted', 'code 7', '')",
        id(7)
    ));
    let done = run(database, &config(30, Scope::NonDraft)).unwrap();
    let school = |school| PerKind { school, self_study: 0 };
    assert_eq!(done.totals, Totals { conflict: school(1), ..totals(30, 28, 1) });
    assert_eq!(found(database).projects.len(), 1);
}

/// The rule is broken when the transaction commits, not before.
fn refuse_poison_at_commit(database: &TestDatabase) {
    database.execute(database.either(
        "CREATE FUNCTION no_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            IF NEW.course_name = 'poison' THEN \
                RAISE EXCEPTION 'no poison, please' USING ERRCODE = 'check_violation', DETAIL = 'the whole row'; \
            END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER no_poison AFTER INSERT ON projects_schoolproject DEFERRABLE INITIALLY DEFERRED \
            FOR EACH ROW EXECUTE FUNCTION no_poison()",
        "CREATE TABLE courses (name varchar(255) NOT NULL PRIMARY KEY); \
         INSERT INTO courses SELECT course_name FROM projects_project WHERE course_name <> 'poison'; \
         DROP TABLE projects_schoolproject; CREATE TABLE projects_schoolproject (\
            project_id char(32) NOT NULL PRIMARY KEY REFERENCES projects_project (id) DEFERRABLE INITIALLY DEFERRED, \
            course_name varchar(255) NOT NULL REFERENCES courses (name) DEFERRABLE INITIALLY DEFERRED, \
            course_code varchar(50) NOT NULL, teacher_name varchar(255) NOT NULL)",
    ));
}

fn allow_poison(database: &TestDatabase) {
    database.execute(database.either(
        "ALTER TABLE projects_schoolproject DROP CONSTRAINT no_poison",
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, \
            'CONSTRAINT no_poison CHECK (course_name <> ''poison'')', '') WHERE name = 'projects_schoolproject'; \
         PRAGMA writable_schema = RESET",
    ));
}

fn found(database: &TestDatabase) -> Quarantine {
    quarantine(&mut open(database), 1000).unwrap()
}

fn totals(locked: i64, created: i64, error: i64) -> Totals {
    let school = |school| PerKind { school, self_study: 0 };
    Totals { locked, created: school(created), error: school(error), ..Totals::default() }
}

fn a_poison_row_is_found_and_the_others_are_made(database: &TestDatabase) {
    set_up(database, 30, |number| number == 7 || number == 8 || number == 30);
    refuse_poison(database);
    let recorder = Recorder::default();
    let mut config = config(30, Scope::NonDraft);
    config.workers = 2;
    config.max_error_rate = ErrorRate::percent(100.0).unwrap();
    let done = run_observed(database, &config, &recorder).unwrap();
    assert_eq!((done.ending, done.totals), (Ending::Complete, totals(30, 27, 3)));
    assert_eq!(database.count("projects_schoolproject"), 27);
    assert_eq!(database.count("projects_schoolproject WHERE course_name = 'poison'"), 0);
    let found = found(database);
    assert_eq!(found.classes, [("check_violation".to_owned(), 3)]);
    let ids: Vec<String> = found.projects.iter().map(|project| project.project.hex()).collect();
    assert_eq!(ids, [id(7), id(8), id(30)]);
    let message = &found.projects[0].message;
    assert!(message.contains("no_poison") && !message.contains("code 7"), "{message}");
    assert_eq!(found.projects[0].kind, "school");
    let events = recorder.0.into_inner().unwrap();
    let told = |event: &&Event| matches!(event, Event::ProjectQuarantined { class, .. } if class == "check_violation");
    assert_eq!(events.iter().filter(told).count(), 3);
    check_ledger(database);
}

fn rows_that_are_only_refused_at_commit_are_found_too(database: &TestDatabase) {
    set_up(database, 30, |number| number == 13 || number == 14);
    refuse_poison_at_commit(database);
    let mut config = config(10, Scope::NonDraft);
    config.max_error_rate = ErrorRate::percent(100.0).unwrap();
    let done = run(database, &config).unwrap();
    assert_eq!((done.ending, done.totals), (Ending::Complete, totals(30, 28, 2)));
    let found = found(database);
    let ids: Vec<String> = found.projects.iter().map(|project| project.project.hex()).collect();
    assert_eq!(ids, [id(13), id(14)]);
    let expected = database.either("no poison, please", "FOREIGN KEY constraint failed");
    assert_eq!(found.projects[0].message, expected);
    check_ledger(database);
}

fn a_chunk_of_nothing_but_poison_is_found_out_in_parts(database: &TestDatabase) {
    set_up(database, 450, |number| number > 100);
    refuse_poison(database);
    let recorder = Recorder::default();
    let mut config = config(450, Scope::NonDraft);
    config.max_error_rate = ErrorRate::percent(100.0).unwrap();
    let done = run_observed(database, &config, &recorder).unwrap();
    assert_eq!((done.ending, done.totals), (Ending::Complete, totals(450, 100, 350)));
    assert_eq!(found(database).total(), 350);
    let events = recorder.0.into_inner().unwrap();
    let halved = events.iter().filter(|event| matches!(event, Event::ChunkHalved { .. })).count();
    assert_eq!(halved, 3, "450 are 225 and 225, each of them 112 and 113");
    assert_eq!(database.count("sti_backfill_chunk"), 4);
    check_ledger(database);
}

fn tried(database: &TestDatabase, owner: &Owner, project: Option<ProjectId>) -> Retried {
    retry(&mut open(database), owner, project, &StopSignal::default(), &mut |_| ()).unwrap()
}

fn a_retry_that_is_stopped_is_gone_on_with(database: &TestDatabase) {
    set_up(database, 250, |_| true);
    refuse_poison(database);
    let mut config = config(250, Scope::NonDraft);
    config.max_error_rate = ErrorRate::percent(100.0).unwrap();
    run(database, &config).unwrap();
    allow_poison(database);
    let (owner, stop, mut told) = (Owner::this_process("test"), StopSignal::default(), Vec::new());
    let stopped = retry(&mut open(database), &owner, None, &stop, &mut stop_behind_a_chunk(&stop, &mut told));
    assert_eq!(stopped.unwrap(), Retried { totals: totals(200, 200, 0), gone: 0, stopped: true });
    assert_eq!(told, ["Begun { of: 250 }", "Committed { done: 200 }"]);
    // Asked when the last one has been tried: there is nothing to be stopped.
    let stop = StopSignal::default();
    let rest =
        retry(&mut open(database), &owner, None, &stop, &mut stop_behind_a_chunk(&stop, &mut Vec::new()));
    assert_eq!(rest.unwrap(), Retried { totals: totals(50, 50, 0), gone: 0, stopped: false });
    assert_eq!((found(database).total(), database.count("projects_schoolproject")), (0, 250));
    check_ledger(database);
}

fn a_retry_makes_what_can_be_made_and_corrects_the_totals(database: &TestDatabase) {
    set_up(database, 20, |number| number > 15);
    refuse_poison(database);
    let mut config = config(20, Scope::NonDraft);
    config.max_error_rate = ErrorRate::percent(100.0).unwrap();
    let first = run(database, &config).unwrap();
    assert_eq!(first.totals, totals(20, 15, 5));
    let owner = Owner::this_process("test");

    let still = tried(database, &owner, None);
    assert_eq!(still, Retried { totals: totals(5, 0, 5), gone: 0, stopped: false });
    assert_eq!(found(database).total(), 5);

    database.execute(&format!("UPDATE projects_project SET course_name = 'fine' WHERE id = '{}'", id(16)));
    let one = tried(database, &owner, Some(id(16).parse().unwrap()));
    assert_eq!(one, Retried { totals: totals(1, 1, 0), gone: 0, stopped: false });
    let other = tried(database, &owner, Some(id(1).parse().unwrap()));
    assert_eq!(other, Retried::default(), "it is not in quarantine");

    allow_poison(database);
    let all = tried(database, &owner, None);
    assert_eq!(all, Retried { totals: totals(4, 4, 0), gone: 0, stopped: false });
    assert_eq!(found(database), Quarantine { classes: vec![], projects: vec![] });
    assert_eq!(database.count("projects_schoolproject"), 20);
    let run = sti_core::backfill::last_run(&mut open(database)).unwrap().unwrap();
    assert_eq!(run.totals, totals(20, 20, 0));
    check_ledger(database);
}

fn a_retry_takes_out_what_is_gone(database: &TestDatabase) {
    set_up(database, 10, |number| number > 6);
    refuse_poison(database);
    let mut config = config(10, Scope::NonDraft);
    config.max_error_rate = ErrorRate::percent(100.0).unwrap();
    run(database, &config).unwrap();
    database.execute(&format!(
        "DELETE FROM projects_project WHERE id = '{}'; \
         UPDATE projects_project SET is_draft = true WHERE id = '{}'; \
         UPDATE projects_project SET project_type = 'other' WHERE id = '{}'",
        id(7),
        id(8),
        id(9)
    ));
    let retried = tried(database, &Owner::this_process("test"), None);
    let expected = Totals { unknown: 1, ..totals(2, 0, 1) };
    assert_eq!(retried, Retried { totals: expected, gone: 2, stopped: false });
    assert_eq!(found(database).total(), 1);
    let run = sti_core::backfill::last_run(&mut open(database)).unwrap().unwrap();
    assert_eq!(run.totals, Totals { unknown: 1, ..totals(8, 6, 1) });
    check_ledger(database);
}

fn a_catch_up_sweep_leaves_the_quarantine_alone(database: &TestDatabase) {
    set_up(database, 20, |number| number == 5);
    refuse_poison(database);
    let recorder = Recorder::default();
    let behind = super::rig::Tell(|event: &Event| {
        recorder.event(event);
        if matches!(event, Event::ChunkDone { sweep: 1, number: 1, .. }) {
            database.execute(&format!(
                "INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id) \
                 VALUES ('{}', 'behind', 'school', false, '2026-01-02 03:04:05', '2026-01-02 03:04:05', 1)",
                id(0)
            ));
        }
    });
    let done = run_observed(database, &config(10, Scope::NonDraft), &behind).unwrap();
    assert_eq!((done.ending, done.totals), (Ending::Complete, totals(21, 20, 1)));
    let events = recorder.0.into_inner().unwrap();
    let missing: Vec<i64> = events
        .iter()
        .filter_map(|event| match event {
            Event::SweepDone { missing, .. } => Some(*missing),
            _ => None,
        })
        .collect();
    assert_eq!(missing, [1, 0], "the project behind the cursor, and not the one in quarantine");
}

fn a_complete_run_clears_the_quarantine_of_earlier_ones(database: &TestDatabase) {
    set_up(database, 10, |number| number > 8);
    database.execute(&format!("UPDATE projects_project SET is_draft = true WHERE id = '{}'", id(9)));
    refuse_poison(database);
    let mut all = config(10, Scope::All);
    all.max_error_rate = ErrorRate::percent(100.0).unwrap();
    run(database, &all).unwrap();
    assert_eq!(found(database).total(), 2);
    allow_poison(database);
    run(database, &config(10, Scope::NonDraft)).unwrap();
    let left = found(database);
    let ids: Vec<String> = left.projects.iter().map(|project| project.project.hex()).collect();
    assert_eq!(ids, [id(9)], "the draft, which the second run did not look at");
    run(database, &config(10, Scope::All)).unwrap();
    assert_eq!(found(database).total(), 0);
}

/// Six entries of four projects: the second run is stopped when it has met two of them again.
fn a_project_that_two_runs_met_is_counted_once(database: &TestDatabase) {
    set_up(database, 10, |number| number <= 2 || number > 8);
    refuse_poison(database);
    let mut config = config(5, Scope::NonDraft);
    config.max_error_rate = ErrorRate::percent(100.0).unwrap();
    run(database, &config).unwrap();
    database.execute(&format!("UPDATE projects_project SET is_draft = true WHERE id = '{}'", id(2)));
    config.scope = Scope::All;
    let stop = config.stop.clone();
    let behind = super::rig::Tell(|event: &Event| {
        if matches!(event, Event::ChunkDone { .. }) {
            stop.stop();
        }
    });
    assert_eq!(run_observed(database, &config, &behind).unwrap().ending, Ending::Stopped);
    assert_eq!(database.count("sti_backfill_quarantine"), 6);

    let list = found(database);
    assert_eq!((list.total(), list.classes), (4, vec![("check_violation".to_owned(), 4)]));
    let listed: Vec<_> = list.projects.iter().map(|p| (p.run.0, p.project.hex())).collect();
    assert_eq!(listed, [(1, id(9)), (1, id(10)), (2, id(1)), (2, id(2))]);

    // One can be made, and is there when it is tried for the second run. Another is gone for the first run, which did
    // not cover drafts, and refused for the second.
    database.execute(&format!("UPDATE projects_project SET course_name = 'fine' WHERE id = '{}'", id(1)));
    let (owner, mut told) = (Owner::this_process("test"), Vec::new());
    let never = StopSignal::default();
    let tell = &mut |event: &_| told.push(format!("{event:?}"));
    let retried = retry(&mut open(database), &owner, None, &never, tell).unwrap();
    assert_eq!(retried, Retried { totals: totals(4, 1, 3), gone: 0, stopped: false });
    assert_eq!((&*told[0], &**told.last().unwrap()), ("Begun { of: 4 }", "Committed { done: 4 }"));
    assert_eq!(found(database).total(), 3);

    database.execute(&format!("DELETE FROM projects_project WHERE id = '{}'", id(2)));
    allow_poison(database);
    let all = tried(database, &owner, None);
    assert_eq!(all, Retried { totals: totals(2, 2, 0), gone: 1, stopped: false });
    assert_eq!(database.count("sti_backfill_quarantine"), 0);
    check_ledger(database);
}

fn too_many_errors_stop_the_run(database: &TestDatabase) {
    set_up(database, 400, |number| (101..=106).contains(&number));
    refuse_poison(database);
    let mut config = config(50, Scope::NonDraft);
    config.max_error_rate = ErrorRate::percent(3.0).unwrap();
    let stopped = run(database, &config).unwrap();
    assert_eq!(stopped.ending, Ending::TooManyErrors { errors: 6, projects: 150 });
    assert_eq!(database.value("SELECT state FROM sti_backfill_run"), "active", "it is to be resumed");
    let reason = database.value("SELECT stop_reason FROM sti_backfill_run");
    assert_eq!(reason, "6 of 150 projects were refused, more than 3 %");
    assert_eq!(database.count("projects_schoolproject"), 144);

    allow_poison(database);
    let resumed = run(database, &config).unwrap();
    assert_eq!((resumed.ending, resumed.totals), (Ending::Complete, totals(400, 394, 6)));
    assert_eq!(database.value("SELECT stop_reason FROM sti_backfill_run"), "NULL");
    check_ledger(database);
}
