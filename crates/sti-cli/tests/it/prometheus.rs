//! `sti gate` and `sti baseline`, with a table of answers in Prometheus' place. The real one is asked by
//! `cargo xtask monitoring`.

mod backfill;
mod server;

use sti_core::test_support::TestDatabase;

use crate::rig::{json, migrate, settings, shown, sti, sti_on};

use server::Prometheus;

const DATABASE: (&str, &str) = ("0 * (datname:", r#"{"datname":"app"}"#);

/// Every trigger within its limit. A query is known by a part of it.
fn fine() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("p95_baseline", r#"{"job":"api"}"#, "1.02"),
        ("http_requests_5xx", r#"{"job":"api"}"#, "0.0005"),
        ("errors_per_processed:ratio[1h]", r#"{"job":"sti","instance":"a"}"#, "0"),
        ("errors_per_processed:ratio_rate5m", r#"{"job":"sti","instance":"a"}"#, "0"),
        (DATABASE.0, DATABASE.1, "0.97"),
        ("ALERTS", "{}", "0"),
    ]
}

fn bound(f: impl FnOnce()) {
    let mut settings = settings(None);
    settings.add_filter(r"http://127\.0\.0\.1:\d+", "http://[prometheus]");
    settings.bind(f);
}

#[test]
fn go() {
    let server = Prometheus::start(fine());
    bound(|| {
        insta::assert_snapshot!(
            "gate_go",
            shown(&sti(&["gate", "--prometheus", server.url()]).output().unwrap())
        );
    });
}

#[test]
fn stop_names_the_trigger_and_the_series() {
    let mut answers = fine();
    answers[4].2 = "1.31";
    let server = Prometheus::start(answers);
    let asked = |format: &str| {
        sti(&["gate", "--prometheus", server.url(), "--window", "90s", "--format", format]).output().unwrap()
    };
    bound(|| {
        insta::assert_snapshot!("gate_stop", shown(&asked("text")));
        insta::assert_json_snapshot!("gate_stop_json", json(&asked("json"), 1));
    });
}

#[test]
fn what_cannot_be_read_means_stop_unless_it_is_left_out() {
    let answers = fine().into_iter().filter(|(part, ..)| !part.starts_with("errors_per")).collect();
    let server = Prometheus::start(answers);
    bound(|| {
        let output = sti(&["gate", "--prometheus", server.url()]).output().unwrap();
        insta::assert_snapshot!("gate_unreadable", shown(&output));
        let without = ["--without", "backfill-errors", "--without", "backfill-errors-now"];
        let output = sti(&["gate", "--prometheus", server.url()]).args(without).output().unwrap();
        insta::assert_snapshot!("gate_left_out", shown(&output));
    });
    let mut answers = fine();
    answers[0].2 = "NaN";
    let report = json(
        &sti(&["gate", "--prometheus", Prometheus::start(answers).url(), "--format", "json"])
            .output()
            .unwrap(),
        1,
    );
    assert_eq!(report["triggers"][1]["answer"], "unreadable");
    assert_eq!(report["triggers"][1]["value"], serde_json::Value::Null);
}

#[test]
fn a_pause_in_the_ledger_is_a_reason_to_stop() {
    let server = Prometheus::start(fine());
    let database = TestDatabase::sqlite();
    migrate(&database);
    let asked = |exit| {
        let arguments = ["gate", "--prometheus", server.url(), "--format", "json"];
        json(&sti_on(&database, &arguments).output().unwrap(), exit)
    };
    assert_eq!(asked(0)["paused"], serde_json::json!({"answer": "go", "reason": null}));
    sti_on(&database, &["pause", "--reason", "users see empty pages"]).output().unwrap();
    let stop = asked(1);
    assert_eq!((&stop["go"], &stop["paused"]["answer"]), (&false.into(), &"stop".into()));
    assert!(stop["paused"]["reason"].as_str().unwrap().ends_with(": users see empty pages"), "{stop}");
    database.execute("DROP TABLE sti_backfill_control");
    assert_eq!(asked(1)["paused"]["answer"], "unreadable");
}

#[test]
fn watching_ends_when_the_answer_is_stop() {
    let server = Prometheus::start(fine());
    let child =
        sti(&["gate", "--prometheus", server.url(), "--watch", "--every", "10ms", "--format", "json"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
    server.wait_for(20);
    let mut answers = fine();
    answers[1].2 = "0.02";
    server.answer(answers);
    let report = json(&child.wait_with_output().unwrap(), 1);
    assert_eq!(report["triggers"][0]["answer"], "stop");
    assert_eq!(report["triggers"][0]["value"], 0.02);
}

#[test]
fn who_cannot_be_asked_gives_no_answer() {
    let not_there = sti(&["gate", "--prometheus", "http://127.0.0.1:9"]).output().unwrap();
    let foreign = Prometheus::start_with("<html>a wiki</html>");
    let foreign = sti(&["gate", "--prometheus", foreign.url()]).output().unwrap();
    let angry =
        Prometheus::start_with(r#"{"status":"error","errorType":"bad_data","error":"too many samples"}"#);
    let angry = sti(&["baseline", "--prometheus", angry.url(), "--out", "/no/such/file"]).output().unwrap();
    for (output, message) in [
        (not_there, "cannot ask Prometheus at http://127.0.0.1:9/"),
        (foreign, "is no Prometheus: HTTP status 200"),
        (angry, "too many samples"),
    ] {
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert!(shown(&output).contains(message), "{}", shown(&output));
    }
}

#[test]
fn a_baseline_is_frozen_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline.rules.yml");
    let figures = vec![
        ("avg_over_time(job:http", r#"{"job":"api"}"#, "0.1"),
        ("avg_over_time(datname:", r#"{"datname":"a\"b"}"#, "0.0031"),
    ];
    let server = Prometheus::start(figures.clone());
    let arguments = ["baseline", "--prometheus", server.url(), "--out", file.to_str().unwrap()];
    let mut settings = settings(None);
    settings.add_filter(r"http://127\.0\.0\.1:\d+", "http://[prometheus]");
    settings.add_filter(&folder.path().display().to_string(), "[folder]");
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[now]");
    settings.bind(|| {
        insta::assert_snapshot!("baseline", shown(&sti(&arguments).output().unwrap()));
        insta::assert_snapshot!("baseline_file", std::fs::read_to_string(&file).unwrap());
        insta::assert_snapshot!("baseline_again", shown(&sti(&arguments).output().unwrap()));
        std::fs::remove_file(&file).unwrap();
        for (name, answers) in [
            ("running", [vec![("sti_backfill_running", r#"{"job":"sti"}"#, "1")], figures.clone()].concat()),
            ("no_traffic", vec![figures[1]]),
            ("nan", vec![("avg_over_time(job:http", r#"{"job":"api"}"#, "NaN"), figures[1]]),
            (
                "twice",
                [vec![("avg_over_time(job:http", r#"{"job":"api","environment":"b"}"#, "0.2")], figures]
                    .concat(),
            ),
        ] {
            server.answer(answers);
            insta::assert_snapshot!(format!("baseline_{name}"), shown(&sti(&arguments).output().unwrap()));
            assert!(!file.exists(), "{name}");
        }
    });
}
