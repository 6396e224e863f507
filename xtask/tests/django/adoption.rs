//! Adopt, count, dry run, backfill, verify, repair, backfill the drafts, verify.

use serde_json::Value;
use sti_core::test_support::TestDatabase;

use crate::contract;
use crate::rig::{at, expected, report, row_digests, run, the_application_works, untouched};

pub(crate) fn from_adoption_to_a_clean_verification(database: &TestDatabase) {
    let expected = expected();
    let before = untouched(database);
    let digest = |name: &str| expected["digests"][name]["digest"].as_str().unwrap().to_owned();
    assert_eq!(before[1], digest("legacy"));

    report(database, "sti-migrate", &["up"], 0);
    assert_eq!(untouched(database), before, "sti-migrate up");
    assert_eq!(row_digests(database), [digest("school"), digest("self_study")]);
    database.grant_application(&["projects_project", "projects_schoolproject", "projects_selfstudyproject"]);
    the_application_works(database);
    contract::is_refused_before_the_backfill(database);

    let counts = report(database, "sti", &["counts"], 0);
    for (ours, theirs) in [("school", "school"), ("self_study", "self_study")] {
        for state in ["nondraft", "draft"] {
            let here = state.replace("nondraft", "non_draft");
            assert_eq!(
                at(&counts, &format!("/projects/{ours}/{here}")),
                at(&expected, &format!("/by_type/{theirs}/{state}"))
            );
        }
    }
    assert_eq!(at(&counts, "/projects/unknown/non_draft"), at(&expected, "/unknown_type/nondraft"));
    assert_eq!(at(&counts, "/projects/unknown/draft"), at(&expected, "/unknown_type/draft"));
    assert_eq!(at(&counts, "/subtype_rows/school"), at(&expected, "/school_rows"));
    assert_eq!(at(&counts, "/subtype_rows/self_study"), at(&expected, "/self_study_rows"));
    assert_eq!(at(&counts, "/plan_coverage/part"), at(&expected, "/seed_guard/children"));
    assert_eq!(at(&counts, "/plan_coverage/whole"), at(&expected, "/seed_guard/projects"));

    let dry = report(database, "sti", &["backfill", "--dry-run"], 0);
    assert_eq!(row_digests(database), [digest("school"), digest("self_study")], "a dry run writes nothing");
    assert_eq!(database.count("sti_backfill_run"), 0);

    let live = report(database, "sti", &["backfill", "--chunk", "700"], 1);
    assert_eq!(live["totals"], dry["totals"]);
    assert_eq!(at(&live, "/totals/locked"), at(&expected, "/projects/nondraft"));
    for kind in ["school", "self_study"] {
        let of = |outcome: &str| at(&live, &format!("/totals/{outcome}/{kind}"));
        assert_eq!(of("created"), at(&expected, &format!("/missing/{kind}/nondraft")));
        assert_eq!(of("conflict"), at(&expected, &format!("/drift/{kind}/nondraft")));
    }
    assert_eq!(row_digests(database), [digest("school_after_backfill"), digest("self_study_after_backfill")]);
    assert_eq!(untouched(database), before, "sti backfill");
    the_application_works(database);

    let found = report(database, "sti-verify", &["--sample", "0"], 1);
    let class = |report: &Value, name: &str| at(report, &format!("/findings/{name}/total"));
    assert_eq!(class(&found, "missing"), 0);
    assert_eq!(class(&found, "missing_draft"), at(&expected, "/missing_with_data/draft"));
    assert_eq!(class(&found, "wrong_kind") + class(&found, "both_kinds"), at(&expected, "/wrong_type_child"));
    assert_eq!(
        class(&found, "drift"),
        ["school", "self_study"]
            .map(|kind| at(&expected, &format!("/drift/{kind}/nondraft")))
            .iter()
            .sum::<i64>()
    );
    let notice = |name: &str| at(&found, &format!("/notices/{name}/total"));
    assert_eq!(notice("stray_value"), at(&expected, "/stray/school") + at(&expected, "/stray/self_study"));
    assert_eq!(
        notice("unknown_type"),
        at(&expected, "/unknown_type/nondraft") + at(&expected, "/unknown_type/draft")
    );

    let repair = ["--repair", "--from", "legacy", "--sample", "0"];
    let plan = report(database, "sti-verify", &repair, 0);
    assert_eq!(database.count("sti_repair_log"), 0, "a plan writes nothing");
    let confirm = plan["digest"].as_str().unwrap();
    let wrong =
        run(database, "sti-verify", &[&repair[..], &["--execute", "--confirm", "000000000000"]].concat());
    assert_eq!(wrong.status.code(), Some(1), "another digest is refused");
    assert_eq!(database.count("sti_repair_log"), 0);
    let execute = [&repair[..], &["--execute", "--confirm", confirm]].concat();
    report(database, "sti-verify", &execute, 0);
    assert_eq!(untouched(database), before, "sti-verify --repair");
    the_application_works(database);

    let drafts = report(database, "sti", &["backfill", "--include-drafts"], 0);
    assert_eq!(at(&drafts, "/totals/locked"), at(&expected, "/projects/total"));
    assert_eq!(at(&drafts, "/totals/conflict/school") + at(&drafts, "/totals/conflict/self_study"), 0);

    let clean = report(database, "sti-verify", &[], 0);
    assert_eq!(clean["clean"], true);
    let known = |kind: &str| {
        at(&expected, &format!("/by_type/{kind}/nondraft")) + at(&expected, &format!("/by_type/{kind}/draft"))
    };
    assert_eq!(database.count("projects_schoolproject"), known("school"));
    assert_eq!(database.count("projects_selfstudyproject"), known("self_study"));
    assert_eq!(untouched(database), before, "at the end");
    the_application_works(database);
}
