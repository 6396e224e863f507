//! Verifying, held against what came with the fixture.

use sti_core::test_support::TestDatabase;

use crate::rig::{json, migrate, run_on, settings, shown};

sti_core::both_backends! { an_empty_database_is_clean, a_restore_is_under_way }
sti_core::both_backends! { django: the_fixture_has_findings, every_finding_goes_to_a_file, the_metrics_are_the_report }

fn an_empty_database_is_clean(database: &TestDatabase) {
    migrate(database);
    settings(Some(database)).bind(|| insta::assert_snapshot!("clean", shown(&run_on(database, &[]))));
}

fn the_fixture_has_findings(database: &TestDatabase) {
    settings(Some(database)).bind(|| {
        insta::assert_snapshot!("findings", shown(&run_on(database, &["--sample", "2"])));
        let markdown = run_on(database, &["--sample", "0", "--format", "markdown"]);
        insta::assert_snapshot!("findings_markdown", shown(&markdown));
        let whole = json(&run_on(database, &["--sample", "0", "--format", "json"]), 1);
        insta::assert_json_snapshot!("findings_json", whole);
        let sampled = json(&run_on(database, &["--sample", "1", "--format", "json"]), 1);
        let drift = sampled["samples"].as_array().unwrap().iter().find(|sample| sample["class"] == "drift");
        insta::assert_json_snapshot!("sample_json", drift);
    });
}

fn the_metrics_are_the_report(database: &TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.prom");
    let arguments = ["--sample", "0", "--format", "json", "--metrics-textfile", file.to_str().unwrap()];
    let report = json(&run_on(database, &arguments), 1);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut told = 0;
    for (severity, list) in [("finding", "findings"), ("notice", "notices")] {
        for (class, count) in report[list].as_object().unwrap() {
            let line =
                format!(r#"sti_verify_projects{{severity="{severity}",class="{class}"}} {}"#, count["total"]);
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
            told += 1;
        }
    }
    assert_eq!(told, 12, "{report:#}");
    let of_projects = text.lines().filter(|line| line.starts_with("sti_projects{"));
    let sum: i64 = of_projects.map(|line| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap()).sum();
    assert_eq!(sum, database.count("projects_project"), "each project is in one of them");
    assert!(text.contains(r#"sti_command_exit_code{command="sti-verify"} 1"#), "{text}");
}

fn every_finding_goes_to_a_file(database: &TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids.tsv");
    std::fs::write(&path, "of an earlier run").unwrap();
    let arguments = ["--sample", "0", "--format", "json", "--ids-out", path.to_str().unwrap()];
    let report = json(&run_on(database, &arguments), 1);
    let lines = std::fs::read_to_string(&path).unwrap();
    for (class, count) in report["findings"].as_object().unwrap() {
        let found = lines.lines().filter(|line| line.split('\t').next() == Some(class)).count();
        assert_eq!(count["total"], found, "{class}");
    }
    assert!(lines.lines().all(|line| line.split('\t').count() == 3));
    assert_eq!(report["ids_out"], path.to_str().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn it_tells_of_sync_triggers_and_is_as_clean_with_them() {
    use sti_core::db::{Access, DatabaseUrl, connect};
    use sti_core::sync::{Attempts, install};
    let database = TestDatabase::postgres();
    migrate(&database);
    let remark = "sync triggers carry what is written to the legacy columns over to the subtype rows";
    assert!(!shown(&run_on(&database, &[])).contains(remark));
    let url = DatabaseUrl::parse(database.url()).unwrap();
    let mut connector = || connect(&url, Access::Write, "test");
    install(&mut connector, Attempts::default(), &mut |_| {}).unwrap();
    let output = run_on(&database, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains(remark), "{}", shown(&output));
}

/// Somebody looks half way: the columns are back, and nothing of the refill is committed.
fn a_restore_is_under_way(database: &TestDatabase) {
    migrate(database);
    database.execute(
        "INSERT INTO projects_project (id, name, project_type, owner_id, is_draft, created_at, updated_at) \
            VALUES ('00000000000000000000000000000001', 'one', 'school', 1, false, '2024-01-02 03:04:05', \
                '2024-01-02 03:04:05'); \
         INSERT INTO projects_schoolproject (project_id, course_name, course_code, teacher_name) \
            VALUES ('00000000000000000000000000000001', 'Reefs', '', ''); \
         INSERT INTO sti_drop_event (dropped_at, tool_version, restore_began_at) \
            VALUES ('2026-01-02 03:04:05', '0.1.0', '2026-01-02 03:04:06')",
    );
    let snapshot = |name: &str| {
        let shown = shown(&run_on(database, &["--sample", "0"]));
        settings(Some(database)).bind(|| insta::assert_snapshot!(name, shown));
    };
    snapshot("restore_under_way");
    let report = json(&run_on(database, &["--format", "json"]), 1);
    assert_eq!(report["refilling"], true);
    // Filled, and not equal: now it is for somebody to decide.
    database.execute("UPDATE sti_drop_event SET refilled_through = 'ffffffffffffffffffffffffffffffff'");
    let shown = shown(&run_on(database, &["--sample", "0"]));
    assert!(shown.contains("sti-verify --repair --from legacy"), "{shown}");
}
