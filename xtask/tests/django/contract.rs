//! The drop: refused for the right reasons, waived, rehearsed, made; the way back; and both once more. The application
//! works on.

use serde_json::Value;
use sti_core::WriteMode;
use sti_core::test_support::TestDatabase;

use crate::rig::{
    LEGACY, at, expected, legacy_digest, others_untouched, report, row_digests, run,
    the_application_cannot_start, the_application_works_in,
};

/// The gates that refuse, in their order, with what they found.
fn refusing(report: &Value) -> Vec<(String, i64)> {
    let gates = report["gates"].as_array().unwrap().iter();
    let refused = gates.filter(|gate| gate["verdict"] != "pass" && gate["verdict"] != "waived");
    refused.map(|gate| (gate["name"].as_str().unwrap().to_owned(), at(gate, "/found"))).collect()
}

fn named(gates: &[(&str, i64)]) -> Vec<(String, i64)> {
    gates.iter().map(|(name, found)| ((*name).to_owned(), *found)).collect()
}

fn waivable(expected: &Value) -> [(&'static str, i64); 2] {
    [
        ("unknown-type", at(expected, "/unknown_type/nondraft") + at(expected, "/unknown_type/draft")),
        ("stray-values", at(expected, "/stray/school") + at(expected, "/stray/self_study")),
    ]
}

/// Before the backfill every gate that must refuse does, with the figures that came with the database.
pub(crate) fn is_refused_before_the_backfill(database: &TestDatabase) {
    let expected = expected();
    let sum = |path: &str, state: &str| {
        at(&expected, &format!("{path}/school/{state}"))
            + at(&expected, &format!("{path}/self_study/{state}"))
    };
    let refused = report(database, "sti-migrate", &["drop-legacy"], 1);
    let values = [
        ("coverage", sum("/missing", "nondraft")),
        ("draft-values", at(&expected, "/missing_with_data/draft")),
        ("drift", sum("/drift", "nondraft") + sum("/drift", "draft")),
        ("wrong-kind", at(&expected, "/wrong_type_only")),
        ("both-kinds", at(&expected, "/both_children")),
    ];
    assert_eq!(refusing(&refused), named(&[&values[..], &waivable(&expected)].concat()));
    // The digest of a plan that is refused opens nothing.
    let confirm = ["drop-legacy", "--execute", "--confirm", refused["digest"].as_str().unwrap()];
    assert_eq!(report(database, "sti-migrate", &confirm, 1)["outcome"], "refused");
    assert_eq!(report(database, "sti-migrate", &["drop-legacy", "--rehearse"], 1)["outcome"], "refused");
}

/// Where the digest of the legacy columns stands in [`everything`].
const LEGACY_AT: usize = 3;

/// What a drop that was not made may not have changed.
fn everything(database: &TestDatabase) -> Vec<String> {
    let mut all = others_untouched(database);
    all.push(legacy_digest(database));
    all.extend(row_digests(database));
    for table in ["sti_drop_event", "sti_legacy_archive", "sti_drop_permit", "__diesel_schema_migrations"] {
        all.push(format!("{table} {}", database.count(table)));
    }
    all
}

fn archive_digest(database: &TestDatabase, event: i64) -> String {
    let archived = format!("(SELECT * FROM sti_legacy_archive WHERE event_id = {event}) AS archived");
    database.digest(&archived, "project_id", &LEGACY).to_string()
}

/// From a clean verification to a drop, and back; then once more. The application works at every station.
pub(crate) fn from_verification_to_the_drop_and_back_twice(database: &TestDatabase) {
    let expected = expected();
    let before = everything(database);
    let waive = is_refused_for_what_only_the_archive_keeps(database, &expected);
    let drop = ["drop-legacy", "--waive", &waive[0], "--waive", &waive[1]];
    let shown = report(database, "sti-migrate", &drop, 0);
    assert_eq!(refusing(&shown), []);
    assert_eq!(at(&shown, "/archive_rows"), at(&expected, "/projects/total"));

    let rehearsed = report(database, "sti-migrate", &[&drop[..], &["--rehearse"]].concat(), 0);
    assert_eq!(rehearsed["outcome"], "rehearsed");
    assert_eq!(at(&rehearsed, "/archived"), at(&expected, "/projects/total"));
    let wrong =
        run(database, "sti-migrate", &[&drop[..], &["--execute", "--confirm", "000000000000"]].concat());
    assert_eq!(wrong.status.code(), Some(1), "another digest is refused");
    assert_eq!(everything(database), before, "nothing was changed until now");
    the_application_works_in(database, WriteMode::Dual);
    the_application_works_in(database, WriteMode::Subtype);

    dropped(database, &before, &[&drop[..], &["--execute", "--confirm", digest(&rehearsed)]].concat());
    restored(database, &before, |_| {});
    let after = report(database, "sti-migrate", &drop, 0);
    assert_eq!(after["definitions"], shown["definitions"], "the columns are as they were");

    dropped(database, &before, &[&drop[..], &["--execute", "--confirm", digest(&after)]].concat());
    let changed = change_a_teacher(database);
    restored(database, &before, |database| {
        let teacher = format!("SELECT teacher_name FROM projects_project WHERE id = '{}'", changed.id);
        assert_eq!(database.value(&teacher), "changed since the drop");
        // The triggers bring the row's value over.
        database.execute(&changed.back);
    });
    assert_eq!(database.count("sti_drop_event WHERE finished_at IS NOT NULL"), 2);
}

/// What no subtype row can hold is all that is left; a view in the way is named. Gives the waivers.
fn is_refused_for_what_only_the_archive_keeps(database: &TestDatabase, expected: &Value) -> [String; 2] {
    let [unknown, stray] = waivable(expected);
    database.execute("CREATE VIEW reports AS SELECT id, course_name FROM projects_project");
    let refused = report(database, "sti-migrate", &["drop-legacy"], 1);
    assert_eq!(refusing(&refused), named(&[unknown, stray, ("dependents", 1)]));
    database.execute("DROP VIEW reports");
    let refused = report(database, "sti-migrate", &["drop-legacy"], 1);
    assert_eq!(refusing(&refused), named(&[unknown, stray]));
    // A waiver for one too few is none.
    let few = format!("{}={}", stray.0, stray.1 - 1);
    let waive = [unknown, stray].map(|(gate, count)| format!("{gate}={count}"));
    let one_too_few = ["drop-legacy", "--waive", &waive[0], "--waive", &few];
    assert_eq!(refusing(&report(database, "sti-migrate", &one_too_few, 1)), named(&[stray]));
    waive
}

fn digest(report: &Value) -> &str {
    report["digest"].as_str().unwrap()
}

/// Makes the drop: every value is in the archive, and the application goes on.
fn dropped(database: &TestDatabase, before: &[String], confirm: &[&str]) {
    let done = report(database, "sti-migrate", confirm, 0);
    assert_eq!((&done["outcome"], &done["answer"]), (&"done".into(), &"commit".into()));
    assert_eq!(
        archive_digest(database, at(&done, "/event")),
        before[LEGACY_AT],
        "every value is in the archive"
    );
    assert_eq!(database.count("sti_drop_permit"), 0);
    assert_eq!(others_untouched(database), before[..LEGACY_AT], "what is not ours");
    assert_eq!(row_digests(database), before[LEGACY_AT + 1..LEGACY_AT + 3]);
    the_application_works_in(database, WriteMode::Dual);
    the_application_works_in(database, WriteMode::Subtype);
    the_application_cannot_start(database, WriteMode::Legacy);
    assert_eq!(report(database, "sti-migrate", confirm, 0)["answer"], "earlier");
    report(database, "sti-migrate", &["status"], 0);
}

/// Takes the drop back: every value is where it was. `meanwhile` runs before the triggers go.
fn restored(database: &TestDatabase, before: &[String], meanwhile: impl Fn(&TestDatabase)) {
    let restored = report(database, "sti-migrate", &["restore-legacy", "--chunk", "700"], 0);
    assert_eq!(restored["outcome"], "done");
    meanwhile(database);
    assert_eq!(legacy_digest(database), before[LEGACY_AT], "every legacy value is back");
    assert_eq!(others_untouched(database), before[..LEGACY_AT], "what is not ours");
    assert_eq!(row_digests(database), before[LEGACY_AT + 1..LEGACY_AT + 3]);
    the_application_works_in(database, WriteMode::Dual);
    the_application_works_in(database, WriteMode::Subtype);
    assert_eq!(report(database, "sti-verify", &[], 0)["clean"], true);

    let too_early = report(database, "sti-migrate", &["drop-legacy"], 1);
    assert!(refusing(&too_early).contains(&("restore-finished".to_owned(), 1)), "{too_early}");
    assert_eq!(report(database, "sti-migrate", &["restore-legacy"], 0)["outcome"], "already");
    report(database, "sti-migrate", &["restore-legacy", "--finish"], 0);
    let triggers =
        database.either("pg_trigger WHERE NOT tgisinternal", "sqlite_schema WHERE type = 'trigger'");
    assert_eq!(database.count(triggers), 0);
    the_application_works_in(database, WriteMode::Dual);
    assert_eq!(legacy_digest(database), before[LEGACY_AT]);
}

/// A value that was changed while the columns were gone.
struct Changed {
    id: String,
    /// The statement that takes it back.
    back: String,
}

fn change_a_teacher(database: &TestDatabase) -> Changed {
    let school = "FROM projects_schoolproject WHERE teacher_name <> '' ORDER BY project_id LIMIT 1";
    let found = database.select(&["project_id", "teacher_name"], school);
    let [Some(id), Some(teacher)] = &found[0][..] else { panic!("{found:?}") };
    let set = |to: &str| {
        format!("UPDATE projects_schoolproject SET teacher_name = '{to}' WHERE project_id = '{id}'")
    };
    database.execute(&set("changed since the drop"));
    assert!(!teacher.contains('\\'), "{teacher}");
    Changed { id: id.clone(), back: set(&teacher.replace('\'', "''")) }
}
