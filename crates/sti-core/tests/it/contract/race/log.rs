//! What the change log itself has to say: emptied tables, writers that are too fast, counts that change.

use std::sync::Arc;

use sti_core::contract::{DropOptions, Gate, Outcome, Refusal, Rehearsal, Verdict};
use sti_core::probe::{Probe, Step};
use sti_core::test_support::TestDatabase;

use super::oracle::{made, watched};
use super::writers::DUAL;
use crate::contract::rig::{
    columns_left, drop_with, nothing_is_left, once, once_at, options, planned, rehearsed, waiving,
};
use crate::verify::rig::id;

/// Drops with these options while `sql` is executed at `step`.
fn meanwhile(database: &Arc<TestDatabase>, mut options: DropOptions, step: Step, sql: &str) -> Outcome {
    let digest = planned(database, &options).digest;
    let (shared, sql) = (Arc::clone(database), sql.to_owned());
    options.probe = once_at(step, move || shared.execute(&sql));
    drop_with(database.url(), &options, &digest).unwrap()
}

/// Nobody can say which projects it was about.
#[test]
fn truncate_is_refused() {
    // While the snapshot is read, TRUNCATE waits for its end.
    for step in [Step::Snapshot, Step::CatchUp, Step::CatchUpLook, Step::Begin] {
        for (sql, named) in [
            ("TRUNCATE projects_schoolproject", "school"),
            ("TRUNCATE projects_selfstudyproject", "self_study"),
        ] {
            let database = Arc::new(watched());
            let outcome = meanwhile(&database, options(), step, sql);
            let context = format!("{sql} at {step:?}: {outcome:?}");
            let Outcome::Refused { why, .. } = outcome else { panic!("{context}") };
            match why {
                Refusal::Rewritten { table } => {
                    assert!(table.is_none_or(|table| table == named), "{context}");
                }
                // It was before the snapshot, which shows what it has done.
                Refusal::GatesMeanwhile => assert_eq!(step, Step::Snapshot, "{context}"),
                _ => panic!("{context}"),
            }
            assert_eq!((columns_left(&database), database.count("sti_drop_event")), (5, 0), "{context}");
            nothing_is_left(&database);
        }
    }
}

/// Values may be changed without a trigger: by writing the table anew, or by somebody who takes the trigger away.
#[test]
fn what_goes_past_the_change_log_is_refused() {
    for sql in [
        "VACUUM FULL projects_schoolproject",
        "ALTER TABLE projects_project ALTER course_name TYPE varchar(255) USING upper(course_name)",
        "ALTER TABLE projects_project DISABLE TRIGGER sti_change_log_row",
        "DROP TRIGGER sti_change_log_row ON projects_selfstudyproject",
        "CREATE OR REPLACE TRIGGER sti_change_log_row AFTER DELETE ON projects_project \
            FOR EACH ROW EXECUTE FUNCTION keep()",
    ] {
        let database = Arc::new(watched());
        let outcome = meanwhile(&database, options(), Step::Begin, sql);
        let context = format!("{sql}: {outcome:?}");
        assert!(
            matches!(&outcome, Outcome::Refused { why: Refusal::Rewritten { table: None }, .. }),
            "{context}"
        );
        assert_eq!(columns_left(&database), 5, "{context}");
        nothing_is_left(&database);
    }
}

/// For replication roles, too, the log is written.
#[test]
fn a_replication_role_is_logged() {
    let database = Arc::new(watched());
    let late = format!(
        "SET session_replication_role = replica; \
         UPDATE projects_project SET teacher_name = 'late' WHERE id = '{}'",
        id(1).hex()
    );
    let outcome = meanwhile(&database, options(), Step::CatchUp, &late);
    super::oracle::refused(&database, &outcome, id(1), "a replication role");
}

/// A table without a key cannot be emptied where its deletions are published, unless it says how.
#[test]
fn a_publication_of_everything_is_no_obstacle() {
    let database = Arc::new(watched());
    database.execute("CREATE PUBLICATION everything FOR ALL TABLES");
    let digest = planned(&database, &options()).digest;
    let shared = Arc::clone(&database);
    let mut options = options();
    options.probe = once_at(Step::CatchUp, move || (DUAL.write)(&shared));
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    made(&database, &outcome, "a publication");
}

fn many(database: &TestDatabase, count: u32) {
    database.execute(&format!(
        "INSERT INTO projects_project (id, name, project_type, is_draft, created_at, updated_at, owner_id) \
         SELECT gen_random_uuid(), 'many', 'school', true, now(), now(), 1 FROM generate_series(1, {count})"
    ));
}

/// More than is worked off under the locks: they are given back, and the next attempt finds little.
#[test]
fn too_much_for_the_locks_is_left_to_the_next_attempt() {
    let database = Arc::new(watched());
    many(&database, 1_001);
    let touch = "UPDATE projects_project SET name = 'touched'";
    let outcome = meanwhile(&database, options(), Step::Begin, touch);
    made(&database, &outcome, "many writes");
    assert!(matches!(outcome, Outcome::Done(done) if done.attempts == 2 && done.archived == 1_005));
}

/// A thousand are, with all that is known of them.
#[test]
fn a_thousand_are_worked_off_under_the_locks() {
    let database = Arc::new(watched());
    many(&database, 995);
    let touch = "UPDATE projects_project SET name = 'touched'";
    let outcome = meanwhile(&database, options(), Step::Begin, touch);
    made(&database, &outcome, "a thousand writes");
    assert!(matches!(outcome, Outcome::Done(done) if done.attempts == 1 && done.archived == 999));
}

#[test]
fn writers_that_are_too_fast_are_not_outrun() {
    let database = Arc::new(watched());
    many(&database, 2_600);
    let digest = planned(&database, &options()).digest;
    let shared = Arc::clone(&database);
    let mut options = options();
    options.probe = Probe::new(move |step| {
        if step == Step::CatchUpLook {
            shared.execute("UPDATE projects_project SET name = 'again'");
        }
    });
    let outcome = drop_with(database.url(), &options, &digest).unwrap();
    let Outcome::Refused { why: Refusal::Outrun { rounds, left }, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((rounds, left), (50, 2_604));
    assert_eq!(columns_left(&database), 5);
    nothing_is_left(&database);
}

/// The number that a waiver allows holds for the whole table, and what has changed since the snapshot is counted.
#[test]
fn a_waiver_that_is_outgrown_meanwhile_is_refused() {
    let set = |number: u32, value: &str| {
        format!("UPDATE projects_project SET goal_description = {value} WHERE id = '{}'", id(number).hex())
    };
    // One stray value before; one more, the same again, one less, meanwhile.
    for (sql, allowed, found) in [
        (set(3, "'more'"), 2, 2),
        (set(3, "'more'"), 1, 2),
        (set(1, "'another'"), 1, 1),
        (set(1, "NULL"), 1, 0),
        (format!("{}; {}", set(1, "NULL"), set(3, "'more'")), 1, 1),
    ] {
        for step in [Step::CatchUp, Step::Begin] {
            let database = Arc::new(watched());
            database.execute(&set(1, "'stray'"));
            let options = waiving(&[&format!("stray-values={allowed}")]);
            let outcome = meanwhile(&database, options, step, &sql);
            let context = format!("{sql} at {step:?}, {allowed} allowed");
            let of = |plan: &sti_core::contract::DropPlan| {
                let gate = plan.gate(Gate::StrayValues).unwrap();
                (gate.verdict, gate.found)
            };
            if found <= allowed {
                made(&database, &outcome, &context);
                let Outcome::Done(done) = outcome else { panic!("{context}") };
                assert_eq!(of(&done.plan.unwrap()), (Verdict::Waived, found), "{context}");
            } else {
                let Outcome::Refused { plan, .. } = outcome else { panic!("{context}: {outcome:?}") };
                assert_eq!(of(&plan), (Verdict::Refused, found), "{context}");
                nothing_is_left(&database);
            }
        }
    }
}

/// A project comes to count between the look at it and its archive: what the next round takes off for it must have been
/// added in this one.
#[test]
fn a_project_that_comes_to_count_within_a_round_is_counted() {
    let set = |number: u32, what: &str| {
        format!("UPDATE projects_project SET {what} WHERE id = '{}'", id(number).hex())
    };
    // The second is a draft without a row, so that no other gate has a say.
    for (number, late, gate) in [
        (1, "goal_description = 'stray'", Gate::StrayValues),
        (4, "project_type = 'other'", Gate::UnknownType),
    ] {
        let database = Arc::new(watched());
        let digest = planned(&database, &options()).digest;
        let touch = [Step::CatchUp, Step::CatchUpArchive].map(|step| {
            let what = if step == Step::CatchUp { "name = 'touched'" } else { late };
            let (shared, sql) = (Arc::clone(&database), set(number, what));
            (step, once(move || shared.execute(&sql)))
        });
        let mut options = options();
        options.probe = Probe::new(move |at| {
            for (_, touch) in touch.iter().filter(|(step, _)| *step == at) {
                touch();
            }
        });
        let outcome = drop_with(database.url(), &options, &digest).unwrap();
        let Outcome::Refused { plan, .. } = outcome else { panic!("{gate}: {outcome:?}") };
        let result = plan.gate(gate).unwrap();
        assert_eq!((result.verdict, result.found), (Verdict::Refused, 1), "{gate}");
        assert_eq!(columns_left(&database), 5, "{gate}");
        nothing_is_left(&database);
    }
}

/// A rehearsal sees what a plan cannot: that somebody still writes the legacy columns alone.
#[test]
fn a_rehearsal_finds_the_writer_of_the_legacy_columns() {
    let database = Arc::new(watched());
    let shared = Arc::clone(&database);
    let mut options = options();
    // Mended at once, so that both sides are level whenever they are compared.
    let id = id(1).hex();
    options.probe = once_at(Step::CatchUp, move || {
        shared.execute(&format!("UPDATE projects_project SET teacher_name = 'late' WHERE id = '{id}'"));
        shared.execute(&format!(
            "UPDATE projects_schoolproject SET teacher_name = 'late' WHERE project_id = '{id}'"
        ));
    });
    let rehearsal = rehearsed(&database, &options);
    let Rehearsal::Refused { plan, why: Refusal::GatesMeanwhile } = rehearsal else {
        panic!("{rehearsal:?}")
    };
    let shut: Vec<Gate> = plan.shut().map(|result| result.gate).collect();
    assert_eq!(shut, [Gate::LegacyWriters]);
    nothing_is_left(&database);
}

#[test]
fn a_rehearsal_goes_through_beside_services() {
    let database = Arc::new(watched());
    let shared = Arc::clone(&database);
    let mut options = options();
    options.probe = Probe::new(move |step| {
        if matches!(step, Step::Archive | Step::CatchUp | Step::Begin) {
            (DUAL.write)(&shared);
        }
    });
    let rehearsal = rehearsed(&database, &options);
    assert!(matches!(&rehearsal, Rehearsal::Rehearsed { archived: 4, .. }), "{rehearsal:?}");
    assert_eq!(columns_left(&database), 5);
    nothing_is_left(&database);
}
