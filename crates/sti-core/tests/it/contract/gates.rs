//! Each gate refuses for its own reason, and only that one; what refuses changes nothing.

use sti_core::both_backends;
use sti_core::contract::{BadWaiver, Gate, Outcome, Refusal, Rehearsal, Verdict, Waiver};
use sti_core::models::Kind::{School, SelfStudy};
use sti_core::test_support::TestDatabase;

use super::rig::{
    another, columns_left, dropped, everything, open, options, planned, ready, rehearsed, shut, try_drop,
    verdict, waiving,
};
use crate::verify::rig::{
    NOTHING, SCHOOL, SCHOOL_ROW, SELF_STUDY_ROW, draft, id, migrate, orphan, project, row,
};
both_backends! {
    each_gate_refuses_for_its_own_reason,
    a_schema_that_does_not_fit_keeps_the_others_from_being_asked,
    pending_migrations_refuse,
    projects_in_quarantine_refuse,
    what_a_gate_found_can_be_followed_up,
    a_waiver_allows_a_number_and_no_more,
    dropped_already,
}

/// What a person, or the application, has done; and the gate that must say so.
type Case = (Gate, fn(&TestDatabase));

const CASES: [Case; 14] = [
    (Gate::BackfillIdle, |database| {
        database.execute(
            "INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, \
             tool_version, started_by) VALUES ('active', false, 1, 0, '2026-01-02 03:04:05', '1', 'host/1/x')",
        );
    }),
    (Gate::Coverage, |database| project(database, 9, "school", SCHOOL)),
    (Gate::Coverage, |database| project(database, 9, "self_study", NOTHING)),
    (Gate::DraftValues, |database| draft(database, 9, "school", SCHOOL)),
    (Gate::Drift, |database| {
        database.execute("UPDATE projects_project SET course_code = 'newer' WHERE project_type = 'school'");
    }),
    (Gate::Drift, |database| database.execute("UPDATE projects_selfstudyproject SET study_frequency = ''")),
    // Without values: a draft with them would lack its row.
    (Gate::WrongKind, |database| {
        draft(database, 9, "school", NOTHING);
        row(database, 9, SelfStudy, &SELF_STUDY_ROW);
    }),
    (Gate::BothKinds, |database| row(database, 1, SelfStudy, &["", ""])),
    (Gate::Orphans, |database| orphan(database, 9, School, &SCHOOL_ROW)),
    (Gate::UnknownType, |database| project(database, 9, "SCHOOL", SCHOOL)),
    (Gate::UnknownType, |database| draft(database, 9, "", NOTHING)),
    (Gate::StrayValues, |database| {
        database.execute("UPDATE projects_project SET goal_description = ' ' WHERE project_type = 'school'");
    }),
    (Gate::Dependents, |database| {
        database.execute("CREATE VIEW courses AS SELECT id, course_name FROM projects_project");
    }),
    (Gate::RestoreFinished, |database| {
        database.execute(
            "INSERT INTO sti_drop_event (dropped_at, restored_at, tool_version) \
             VALUES ('2026-01-02 03:04:05', '2026-01-02 03:04:06', '1')",
        );
    }),
];

fn each_gate_refuses_for_its_own_reason(database: &TestDatabase) {
    for (number, (gate, done)) in CASES.into_iter().enumerate() {
        let database = &another(database);
        ready(database);
        assert_eq!(shut(&planned(database, &options())), [], "case {number}");
        done(database);
        let before = everything(database);
        let plan = planned(database, &options());
        assert_eq!(shut(&plan), [gate], "case {number}: {:#?}", plan.gates);
        let result = plan.gate(gate).unwrap();
        assert!(result.found > 0 && result.fix.is_some() && !result.evidence.is_empty(), "{result:?}");

        let refused = rehearsed(database, &options());
        assert!(matches!(refused, Rehearsal::Refused { why: Refusal::Gates, .. }), "{gate}: {refused:?}");
        let refused = try_drop(database, &options()).unwrap();
        assert!(matches!(refused, Outcome::Refused { why: Refusal::Gates, .. }), "{gate}: {refused:?}");
        assert_eq!((columns_left(database), everything(database)), (5, before), "{gate}");
    }
}

fn a_schema_that_does_not_fit_keeps_the_others_from_being_asked(database: &TestDatabase) {
    ready(database);
    database.execute("ALTER TABLE projects_project DROP COLUMN teacher_name");
    let plan = planned(database, &options());
    assert_eq!(verdict(&plan, Gate::Schema), Verdict::Refused);
    assert_eq!(plan.gate(Gate::Schema).unwrap().fix.as_deref(), Some("sti-migrate status"));
    let others = plan.gates.iter().filter(|result| result.gate != Gate::Schema);
    assert!(others.clone().all(|result| result.verdict == Verdict::NotAsked), "{:#?}", plan.gates);
    assert_eq!(others.count(), Gate::ALL.len() - 2, "all but the quarantine's, whose table may not be there");
    let refused = try_drop(database, &options()).unwrap();
    assert!(matches!(refused, Outcome::Refused { why: Refusal::Gates, .. }), "{refused:?}");
}

fn pending_migrations_refuse(database: &TestDatabase) {
    ready(database);
    database.execute("DELETE FROM __diesel_schema_migrations WHERE version = '00000000000103'");
    database.execute("DROP TABLE sti_repair_log");
    let plan = planned(database, &options());
    let schema = plan.gate(Gate::Schema).unwrap();
    assert_eq!((schema.verdict, schema.fix.as_deref()), (Verdict::Refused, Some("sti-migrate up")));
    assert_eq!(schema.evidence, ["migration 00000000000103_sti_repair_log has not run"]);
}

/// A run has met two projects, and a later one has met the first of them again, which broke another rule then.
fn projects_in_quarantine_refuse(database: &TestDatabase) {
    ready(database);
    let [first, second] = [1, 2].map(|number| id(number).hex());
    let now = "'2026-01-02 03:04:05'";
    database.execute(&format!(
        "CREATE TABLE IF NOT EXISTS sti_backfill_quarantine (run_id bigint, project_id {uuid}, chunk_id bigint, \
            kind text, class text, message text, at {moment}); \
         INSERT INTO sti_backfill_run (state, include_drafts, mapping_version, eligible, started_at, tool_version, \
            started_by) VALUES ('failed', false, 1, 2, {now}, '1', 'a'), ('failed', false, 1, 2, {now}, '1', 'a'); \
         INSERT INTO sti_backfill_chunk (run_id, sweep, number, through_id, state, token, owner, lease_expires_at) \
            SELECT id, 1, row_number() OVER (ORDER BY id), '{second}', 'done', '{first}', 'a', {now} \
            FROM sti_backfill_run; \
         INSERT INTO sti_backfill_quarantine (run_id, project_id, chunk_id, kind, class, message, at) \
            SELECT run_id, '{first}', id, 'school', CASE number WHEN 1 THEN 'unique_violation' ELSE 'check_violation' \
            END, 'refused', {now} FROM sti_backfill_chunk; \
         INSERT INTO sti_backfill_quarantine (run_id, project_id, chunk_id, kind, class, message, at) \
            SELECT run_id, '{second}', id, 'school', 'invalid_value', 'refused', {now} FROM sti_backfill_chunk \
            ORDER BY id LIMIT 1",
        uuid = database.either("uuid", "char(32)"),
        moment = database.either("timestamptz", "datetime"),
    ));
    let plan = planned(database, &options());
    assert_eq!(shut(&plan), [Gate::Quarantine]);
    let result = plan.gate(Gate::Quarantine).unwrap();
    assert_eq!((result.found, &result.ids), (2, &vec![id(1), id(2)]));
    assert_eq!(result.evidence, ["check_violation: 1", "invalid_value: 1"]);
    assert_eq!(result.fix.as_deref(), Some("ENABLE_STI=true sti quarantine retry"));
}

/// The role that `up` grants nothing to: it may write rows and change no column.
#[test]
fn a_role_that_does_not_own_the_table_is_told_so() {
    let database = TestDatabase::postgres();
    ready(&database);
    let tables =
        ["projects_project", "projects_schoolproject", "projects_selfstudyproject", "sti_backfill_run"];
    let url = database.application_role();
    database.grant_application(
        &[&tables[..], &["sti_backfill_chunk", "sti_backfill_quarantine", "__diesel_schema_migrations"]]
            .concat(),
    );
    let plan = sti_core::contract::plan(&mut super::rig::connector(&url)().unwrap(), &options()).unwrap();
    assert_eq!(shut(&plan), [Gate::Schema]);
    let evidence = plan.gate(Gate::Schema).unwrap().evidence.join("\n");
    assert!(evidence.contains("does not own projects_project"), "{evidence}");
    assert!(evidence.contains("no INSERT privilege on sti_drop_permit"), "{evidence}");
}

/// Where the locks would be held for all of it.
#[test]
fn on_sqlite_the_lock_time_refuses_before_any_lock() {
    let database = &TestDatabase::sqlite();
    ready(database);
    let mut options = options();
    options.max_lock = std::time::Duration::ZERO;
    let (probe, steps) = super::rig::recorder();
    options.probe = probe;
    let plan = planned(database, &options);
    assert_eq!(shut(&plan), [Gate::LockTime]);
    let fix = plan.gate(Gate::LockTime).unwrap().fix.clone().unwrap();
    assert!(fix.contains("--max-lock 1"), "{fix}");
    assert!(matches!(rehearsed(database, &options), Rehearsal::Refused { why: Refusal::Gates, .. }));
    let refused = try_drop(database, &options).unwrap();
    assert!(matches!(refused, Outcome::Refused { why: Refusal::Gates, .. }), "{refused:?}");
    assert_eq!(*steps.lock().unwrap(), [], "no transaction was begun");
}

fn what_a_gate_found_can_be_followed_up(database: &TestDatabase) {
    migrate(database);
    for number in 1..=7 {
        project(database, number, "school", SCHOOL);
    }
    draft(database, 8, "self_study", [Some("stray"), None, None, Some("goal"), None]);
    row(database, 8, SelfStudy, &["goal", ""]);
    let plan = planned(database, &options());
    let coverage = plan.gate(Gate::Coverage).unwrap();
    assert_eq!(coverage.found, 7);
    assert_eq!(coverage.ids, (1..=5).map(id).collect::<Vec<_>>());
    assert_eq!(
        coverage.evidence,
        ["7 projects: 7 school; columns: course_name 7, course_code 7, teacher_name 7"]
    );
    assert_eq!(coverage.fix.as_deref(), Some("ENABLE_STI=true sti backfill"));
    let stray = plan.gate(Gate::StrayValues).unwrap();
    assert_eq!(stray.evidence, ["1 project: 1 self_study (drafts); columns: course_name 1"]);
    assert!(stray.fix.as_ref().unwrap().contains("--waive stray-values=1"));
    assert_eq!(plan.archive_rows, 8);
    assert_eq!(plan.counts.unwrap().projects.total(), 8);
}

fn a_waiver_allows_a_number_and_no_more(database: &TestDatabase) {
    ready(database);
    for number in [10, 11] {
        project(database, number, "workshop", SCHOOL);
    }
    project(database, 12, "school", [Some("a"), None, None, Some("stray"), None]);
    row(database, 12, School, &["a", "", ""]);
    assert_eq!(shut(&planned(database, &options())), [Gate::UnknownType, Gate::StrayValues]);
    assert_eq!(shut(&planned(database, &waiving(&["unknown-type=2"]))), [Gate::StrayValues]);
    assert_eq!(
        shut(&planned(database, &waiving(&["unknown-type=1", "stray-values=1"]))),
        [Gate::UnknownType],
        "it has grown"
    );
    let both = waiving(&["stray-values=1", "unknown-type=2"]);
    let plan = planned(database, &both);
    assert!(plan.is_open());
    assert_eq!(verdict(&plan, Gate::UnknownType), Verdict::Waived);

    // What has shrunk meanwhile is fine: the digest is that of the waiver, not of the number.
    database.execute("DELETE FROM projects_project WHERE project_type = 'workshop'");
    let Outcome::Done(done) = super::rig::drop_with(database.url(), &both, &plan.digest).unwrap() else {
        panic!("not dropped")
    };
    assert_eq!(done.archived, 5);
    let events = sti_core::contract::events(&mut open(database)).unwrap();
    assert_eq!(
        events[0].waivers.as_deref(),
        Some(
            r#"[{"gate":"unknown-type","allowed":2,"found":0},{"gate":"stray-values","allowed":1,"found":1}]"#
        )
    );
    assert!(events[0].gates.as_ref().unwrap().contains(r#"{"gate":"drift","verdict":"pass","found":0"#));
}

#[test]
fn a_waiver_for_what_nothing_keeps_is_an_error() {
    let error = "drift=1".parse::<Waiver>().unwrap_err();
    assert_eq!(error, BadWaiver::NotWaivable(Gate::Drift));
    assert!(error.to_string().starts_with("drift cannot be waived"), "{error}");
}

fn dropped_already(database: &TestDatabase) {
    ready(database);
    let done = dropped(database, &options());
    let error = sti_core::contract::plan(&mut open(database), &options()).unwrap_err();
    assert!(error.to_string().contains(&format!("dropped already (event {} in", done.event)), "{error}");
}
