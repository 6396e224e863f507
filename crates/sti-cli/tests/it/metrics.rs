//! The metrics of the binary, by each way out: scraped, pushed, in a file.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use sti_core::test_support::{Session, TestDatabase, wait_until_it_waits};

use crate::faults::process::Process;
use crate::rig::{json, migrate, shown, sti, sti_on};

mod catalogue;
mod events;
mod gateway;

use gateway::Gateway;

sti_core::both_backends! { django: every_way_out_shows_what_the_ledger_holds }

/// The fixture's published projects, all in one run.
const ALL: [(&str, i64); 9] = [
    (r#"{status="created",project_type="school"}"#, 5420),
    (r#"{status="created",project_type="self_study"}"#, 3267),
    (r#"{status="created",project_type="unknown"}"#, 0),
    (r#"{status="skipped",project_type="school"}"#, 48),
    (r#"{status="skipped",project_type="self_study"}"#, 32),
    (r#"{status="skipped",project_type="unknown"}"#, 182),
    (r#"{status="error",project_type="school"}"#, 0),
    (r#"{status="error",project_type="self_study"}"#, 0),
    (r#"{status="error",project_type="unknown"}"#, 0),
];

/// Each series of a rendering with its value.
fn series(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn value(text: &str, name: &str) -> i64 {
    series(text).get(name).unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

/// The nine pairs of a metric, in the order of `ALL`.
fn pairs(text: &str, metric: &str) -> [i64; 9] {
    ALL.map(|(labels, _)| value(text, &format!("{metric}{labels}")))
}

fn scrape(address: &str) -> String {
    let mut answer = ureq::get(address).call().unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    answer.body_mut().read_to_string().unwrap()
}

/// Waits for the line that names the address, and for the one that says that the end waits for a scrape.
fn lingering(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| line.strip_prefix("metrics: http").map(|rest| format!("http{rest}")));
    assert!(lines.any(|line| line.contains("for a scrape of")));
    address.unwrap()
}

fn every_way_out_shows_what_the_ledger_holds(database: &TestDatabase) {
    migrate(database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.prom");
    let gateway = Gateway::start();
    let arguments = [
        "backfill",
        "--metrics-listen=127.0.0.1:0",
        "--push-gateway",
        gateway.url(),
        "--metrics-textfile",
        file.to_str().unwrap(),
    ];
    let mut child =
        sti_on(database, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let address = lingering(&mut child);
    let scraped = scrape(&address);
    assert_eq!(
        child.wait().unwrap().code(),
        Some(1),
        "the fixture has conflicts; the scrape was the one it waited for"
    );

    let (path, pushed) = gateway.last();
    assert_eq!(path, "POST /metrics/job/sti_backfill");
    let written = std::fs::read_to_string(&file).unwrap();
    for text in [&scraped, &pushed, &written] {
        assert_eq!(pairs(text, "sti_backfill_processed_total"), ALL.map(|(_, count)| count));
        assert_eq!(pairs(text, "sti_backfill_run_projects"), ALL.map(|(_, count)| count));
        assert_eq!(value(text, "sti_backfill_running"), 0);
        assert_eq!(value(text, "sti_backfill_remaining_projects"), 0);
        assert_eq!(value(text, "sti_backfill_eligible_projects"), 8949);
        assert_eq!(value(text, "sti_backfill_last_run_success"), 1);
        assert_eq!(value(text, r#"sti_backfill_last_run_ending{ending="complete"}"#), 1);
        assert_eq!(value(text, r#"sti_command_exit_code{command="sti backfill"}"#), 1);
        let chunks = database.count("sti_backfill_chunk");
        assert_eq!(value(text, "sti_backfill_chunk_duration_seconds_count"), chunks);
        assert_eq!(value(text, r#"sti_backfill_chunk_duration_seconds_bucket{le="+Inf"}"#), chunks);
    }
    catalogue::check(&scraped);
    // The same at every time: no way out shows another moment.
    assert_eq!(series(&scraped), series(&pushed));
    assert_eq!(series(&scraped), series(&written));
}

#[test]
fn two_processes_on_one_run_share_the_gauge_and_not_the_counter() {
    let database = TestDatabase::django_postgres();
    migrate(&database);
    // The first process stands in its third chunk until the second one waits for it.
    database.execute(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$; \
         CREATE TRIGGER hold BEFORE UPDATE ON sti_backfill_chunk FOR EACH ROW WHEN (NEW.number = 3) \
            EXECUTE FUNCTION hold()",
    );
    let blocker = Session::open(&database, "blocker");
    blocker.run("SELECT pg_advisory_lock(42)");
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let file = |instance: &str| folder.path().join(format!("sti-{instance}.prom"));
    let start = |instance: &str| {
        let mut command = sti_on(&database, &["backfill", "--chunk", "500", "--verbose"]);
        command.args(["--push-gateway", gateway.url(), "--push-instance", instance]);
        command.args(["--metrics-textfile", file(instance).to_str().unwrap()]);
        command.args(["--metrics-listen=127.0.0.1:0", "--metrics-linger", "60"]);
        Process::start(command)
    };
    let first = start("a");
    wait_until_it_waits(&database, "sti backfill");
    let second = start("b");
    second.wait_until_it_says("waiting for the last chunk");
    blocker.run("SELECT pg_advisory_unlock(42)");
    let scraped = [first, second].map(|process| {
        process.wait_until_it_says("for a scrape of");
        let text = scrape(process.line("metrics: http").trim_start_matches("metrics: "));
        assert_eq!(process.end().status.code(), Some(1), "the fixture has conflicts");
        text
    });

    let [a, b] =
        ["a", "b"].map(|name| gateway.last_at(&format!("POST /metrics/job/sti_backfill/instance/{name}")));
    let [here, there] = [&a, &b].map(|text| pairs(text, "sti_backfill_processed_total"));
    for (index, (labels, count)) in ALL.into_iter().enumerate() {
        assert_eq!(here[index] + there[index], count, "{labels}");
    }
    assert!(here[0] > 0 && there[0] > 0, "both took part: {here:?} {there:?}");
    for text in [&a, &b] {
        assert_eq!(pairs(text, "sti_backfill_run_projects"), ALL.map(|(_, count)| count));
    }
    // Each way out of a process shows the same.
    for (instance, pushed, scraped) in [("a", &a, &scraped[0]), ("b", &b, &scraped[1])] {
        let written = std::fs::read_to_string(file(instance)).unwrap();
        assert_eq!((series(pushed), series(pushed)), (series(scraped), series(&written)), "{instance}");
    }
}

#[test]
fn every_pair_is_there_before_the_first_project() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.prom");
    // The database is not there: the run never begins.
    let arguments =
        ["backfill", "--database-url", "sqlite:none.db", "--metrics-textfile", file.to_str().unwrap()];
    let output = sti(&arguments).env("ENABLE_STI", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(pairs(&text, "sti_backfill_processed_total"), [0; 9]);
    assert_eq!(value(&text, "sti_backfill_running"), 0);
    assert_eq!(value(&text, r#"sti_command_exit_code{command="sti backfill"}"#), 2);
    assert!(text.contains(r#"mode="live""#));
    // Fed by the run, which did not begin.
    assert!(!text.contains("sti_backfill_eligible_projects "), "{text}");
}

#[test]
fn a_dry_run_leaves_the_counters_at_0() {
    let database = TestDatabase::django_sqlite();
    migrate(&database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.prom");
    let arguments =
        ["backfill", "--dry-run", "--format", "json", "--metrics-textfile", file.to_str().unwrap()];
    json(&sti_on(&database, &arguments).output().unwrap(), 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(pairs(&text, "sti_backfill_processed_total"), [0; 9]);
    assert!(text.contains(r#"mode="dry_run""#));
}

#[test]
fn a_gateway_that_is_down_is_a_warning() {
    let database = TestDatabase::django_sqlite();
    migrate(&database);
    // Port 9 is discard: nothing listens.
    let arguments = ["counts", "--push-gateway", "http://127.0.0.1:9"];
    let output = sti_on(&database, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let warnings = shown(&output).matches("warning: cannot push the metrics to http://127.0.0.1:9").count();
    assert_eq!(warnings, 1, "{}", shown(&output));
}

/// It takes the connection and never answers, or answers that it is not well.
#[test]
fn a_gateway_that_does_not_take_the_metrics_is_a_warning() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let unwell = Gateway::answering(503);
    for url in [silent.as_str(), unwell.url()] {
        let output = sti_on(&database, &["backfill", "--push-gateway", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        let warnings =
            shown(&output).matches("warning: cannot push the metrics to http://127.0.0.1:").count();
        assert_eq!(warnings, 1, "{}", shown(&output));
    }
}

#[test]
fn what_cannot_be_done_is_told_before_any_work() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--metrics-listen={}", taken.local_addr().unwrap());
    for (arguments, expected) in [
        (
            &["counts", "--metrics-textfile", "/no/such/folder/x.prom"][..],
            "cannot write the metrics file /no/such",
        ),
        (&["counts", &listen], "cannot serve the metrics at 127.0.0.1:"),
        (&["counts", "--metrics-listen=0.0.0.0:0"], "add --metrics-public if it should"),
        (&["counts", "--metrics-public"], "--metrics-public needs --metrics-listen"),
        (&["counts", "--push-instance", "a"], "--push-instance needs --push-gateway"),
        (
            &["counts", "--push-gateway", "http://a:secret@b"],
            "a name or password in the URL is not supported",
        ),
    ] {
        let output = sti(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("no database named"), "{stderr}");
    }
}

#[test]
fn an_interrupt_ends_the_waiting_with_the_exit_code_of_the_command() {
    let database = TestDatabase::django_sqlite();
    migrate(&database);
    let arguments = ["counts", "--metrics-listen=127.0.0.1:0", "--metrics-linger", "600"];
    let mut child =
        sti_on(&database, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    lingering(&mut child);
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
