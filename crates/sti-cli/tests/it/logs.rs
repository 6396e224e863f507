//! The log of the binary: on standard error, in a file, and what is in it.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;
use sti_core::test_support::{TestDatabase, records};

use crate::rig::{migrate, shown, sti, sti_on};

mod values;

sti_core::both_backends! {
    django: every_line_is_a_record_with_its_place,
    a_file_has_the_log_and_the_person_has_what_a_person_had,
}

pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn every_line_is_a_record_with_its_place(database: &TestDatabase) {
    migrate(database);
    let arguments = ["backfill", "--chunk", "500", "--workers", "2", "--verbose", "--log-format", "json"];
    let output = sti_on(database, &[&arguments[..], &["--log-level", "debug"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let records = records(&stderr(&output));

    let said = |record: &Value| record["message"].as_str().unwrap().to_owned();
    assert!(said(&records[0]).starts_with("sti backfill: "), "the target comes first: {}", records[0]);
    assert_eq!(said(records.last().unwrap()), "the command has ended");
    assert_eq!(records.last().unwrap()["exit_code"], 1);
    let of_run: Vec<&Value> = records.iter().filter(|record| record["owner"].is_string()).collect();
    let owner = database.value("SELECT min(owner) FROM sti_backfill_chunk");
    assert!(of_run.iter().all(|record| record["run"] == 1 && record["owner"] == *owner), "{of_run:#?}");
    let chunks: BTreeSet<(i64, i64)> = of_run
        .iter()
        .filter(|record| record["level"] == "DEBUG" && record["projects"].is_i64())
        .map(|record| (record["sweep"].as_i64().unwrap(), record["chunk"].as_i64().unwrap()))
        .collect();
    assert_eq!(i64::try_from(chunks.len()).unwrap(), database.count("sti_backfill_chunk"));
    let worker = |record: &&&Value| record["worker"].as_str().unwrap().starts_with("backfill-");
    assert_eq!(
        of_run.iter().filter(worker).count(),
        of_run.len() - 2,
        "begin and end are told by the main thread"
    );
}

fn a_file_has_the_log_and_the_person_has_what_a_person_had(database: &TestDatabase) {
    migrate(database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.log");
    let plain = sti_on(database, &["counts"]).output().unwrap();
    let logged = |format: &[&str]| {
        let arguments = [&["counts", "--log-file", file.to_str().unwrap()][..], format].concat();
        sti_on(database, &arguments).output().unwrap()
    };
    for format in [&[][..], &["--log-format", "text"], &["--log-level", "debug"]] {
        assert_eq!(shown(&logged(format)), shown(&plain), "{format:?}");
    }
    let text = std::fs::read_to_string(&file).unwrap();
    for (line, words) in
        text.lines().zip(["the command begins", "sti counts: ", "the command has ended"].iter().cycle())
    {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{line}");
        assert!(rest.trim_start().starts_with(&format!("INFO {words}")), "{line}");
    }
    assert_eq!(text.lines().count(), 9, "each command goes on at the end:\n{text}");

    std::fs::remove_file(&file).unwrap();
    let output = logged(&["--log-format", "json"]);
    assert!(!records(&stderr(&output)).is_empty());
    let levels: Vec<Value> = records(&std::fs::read_to_string(&file).unwrap())
        .into_iter()
        .map(|record| record["level"].clone())
        .collect();
    assert_eq!(levels, ["INFO", "INFO", "INFO"]);
}

#[test]
fn the_last_word_is_a_record_too() {
    for (arguments, exit, words) in [
        (&["counts", "--database-url", "sqlite:none.db"][..], 2, "does not exist"),
        (&["backfill", "--database-url", "sqlite:none.db"], 1, "refused: ENABLE_STI is off here"),
        (&["counts"], 2, "no database named"),
        (&["backfill", "--chunk", "none"], 2, "invalid value 'none' for '--chunk <N>'"),
        (&["counts", "--metrics-public"], 2, "--metrics-public needs --metrics-listen"),
    ] {
        let output = sti(&[arguments, &["--log-format=json"]].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{}", shown(&output));
        let records = records(&stderr(&output));
        let errors: Vec<&Value> = records.iter().filter(|record| record["level"] == "ERROR").collect();
        assert_eq!(errors.len(), 1, "{records:#?}");
        assert!(errors[0]["message"].as_str().unwrap().contains(words), "{errors:#?}");
    }
}

/// A refusal goes over several lines for a person.
#[test]
fn a_record_of_text_is_one_line() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    let mut command = sti_on(&database, &["backfill", "--log-format", "text"]);
    let output = command.env("ENABLE_STI", "false").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let said = stderr(&output);
    let levels: Vec<&str> = said.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(levels, ["INFO", "ERROR", "INFO"], "{said}");
    assert!(said.contains(r"\n    sti backfill --dry-run\n"), "{said}");
}

#[test]
fn a_level_leaves_out_what_is_below_it() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    let at = |level: &str| {
        let arguments = ["backfill", "--log-level", level, "--push-gateway", "http://127.0.0.1:9"];
        stderr(&sti_on(&database, &arguments).output().unwrap())
    };
    assert_eq!(at("error"), "");
    let warnings = at("warn");
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    assert!(warnings.contains(" WARN cannot push the metrics to http://127.0.0.1:9/"), "{warnings}");
    let info = at("info");
    assert!(info.contains(" INFO run 3 begins: 0 projects in scope run=3 "), "{info}");
    assert_eq!(info.matches("begins").count(), 1, "the display says nothing beside it: {info}");
}

/// A file that cannot be opened, and one on a disk that is full.
#[test]
fn a_log_that_cannot_be_written_is_told_before_anything_is() {
    let database = TestDatabase::sqlite();
    migrate(&database);
    for file in ["/no/such/folder/sti.log", "/dev/full"] {
        let output = sti_on(&database, &["backfill", "--log-file", file]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        let said = stderr(&output);
        assert!(said.starts_with(&format!("error: cannot write the log file {file}: ")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let output =
            sti_on(&database, &["backfill", "--log-file", file, "--log-format", "json"]).output().unwrap();
        assert_eq!(records(&stderr(&output))[0]["level"], "ERROR");
    }
    assert_eq!(database.count("sti_backfill_run"), 0);
}

/// A limit on the size of files stands for the disk that becomes full in the middle.
#[test]
fn a_disk_that_becomes_full_is_told_once_and_stops_nothing() {
    let database = TestDatabase::django_postgres();
    migrate(&database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.log");
    let command = sti_on(&database, &["backfill", "--chunk", "100", "--log-level", "debug"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).args(["--log-file", file.to_str().unwrap()]).env("ENABLE_STI", "true");
    let output = limited.env_remove("DATABASE_URL").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the fixture has conflicts: {}", shown(&output));
    let told = stderr(&output).matches("warning: cannot write the log file").count();
    assert_eq!(told, 1, "{}", shown(&output));
    assert_eq!(database.count("sti_backfill_run WHERE state = 'done'"), 1);
}

/// A terminal has the bar or the log. (`script` makes one.)
#[test]
fn a_terminal_has_the_bar_or_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sti.log");
    let on_a_terminal = |arguments: &[&str]| {
        let database = TestDatabase::django_sqlite();
        migrate(&database);
        let command = sti_on(&database, &[&["backfill", "--chunk", "500"][..], arguments].concat());
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let mut script = Command::new("script");
        script.args(["-qec", &line.join(" "), "/dev/null"]).env("ENABLE_STI", "true").env("TERM", "xterm");
        String::from_utf8(script.output().expect("`script` of Debian's bsdutils").stdout).unwrap()
    };
    let bar = "projects, ";
    let with_bar = on_a_terminal(&["--log-file", file.to_str().unwrap()]);
    assert!(with_bar.contains('\u{1b}') && with_bar.contains(bar), "{with_bar}");
    let log = std::fs::read_to_string(&file).unwrap();
    assert!(log.contains("run 1 begins") && !log.contains('\u{1b}') && !log.contains('\r'), "{log}");
    let with_log = on_a_terminal(&["--log-format", "json"]);
    assert!(!with_log.contains('\u{1b}'), "{with_log}");
    let (log, _report) = with_log.split_at(with_log.rfind("{\"timestamp").unwrap());
    assert!(log.lines().any(|line| line.contains("\"message\":\"run 1 begins")), "{with_log}");
}
