//! `sti pause`, `sti resume` and `sti cancel` as their user sees them, with a backfill in another process.

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStderr, Command, Stdio};

use sti_core::test_support::{PlainConnection, TestDatabase, check_ledger};

use crate::rig::{json, migrate, settings, shown, sti, sti_on};

sti_core::both_backends! {
    nothing_to_pause,
    bad_reasons,
    a_missing_table,
    a_stop_before_the_first_chunk_says_so,
    a_lock_in_the_way_is_exit_code_2,
}
sti_core::both_backends! {
    django:
    another_process_pauses_resumes_and_cancels,
    a_wait_ends_with_a_signal,
    a_terminal_that_goes_away_costs_a_chunk_at_most,
}

pub(crate) fn told(database: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = sti(arguments);
    command.args(["--database-url", database.url()]).env("USER", "ana").env_remove("SUDO_USER");
    command
}

fn filters(database: &TestDatabase) -> insta::Settings {
    let mut settings = settings(Some(database));
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[moment]");
    settings.add_filter(r"ana@[^\s:,]+", "ana@[host]");
    settings
}

fn nothing_to_pause(database: &TestDatabase) {
    migrate(database);
    let say = |name: &str, arguments: &[&str]| {
        let output = told(database, arguments).output().unwrap();
        filters(database).bind(|| insta::assert_snapshot!(name, shown(&output)));
    };
    say("resume_nothing", &["resume"]);
    say("cancel_nothing", &["cancel", "--reason", "wrong night"]);
    say("pause", &["pause", "--reason", "users report slow pages"]);
    say("pause_again", &["pause", "--reason", "another reason"]);
    say("resume", &["resume", "--format", "markdown"]);
    say("resume_json", &["resume", "--format", "json"]);
}

fn bad_reasons(database: &TestDatabase) {
    migrate(database);
    for (name, arguments) in [
        ("pause_without_reason", &["pause"][..]),
        ("pause_empty_reason", &["pause", "--reason", " "]),
        ("cancel_without_reason", &["cancel"]),
    ] {
        let output = told(database, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        filters(database).bind(|| insta::assert_snapshot!(name, shown(&output)));
    }
    assert_eq!(database.count("sti_backfill_control"), 0);
}

fn a_missing_table(database: &TestDatabase) {
    let output = told(database, &["pause", "--reason", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(shown(&output).contains("table sti_backfill_run is not there: run `sti-migrate up` first"));
}

/// A backfill in a process of its own, with rests so that it lasts.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) lines: Lines<BufReader<ChildStderr>>,
}

impl Running {
    pub(crate) fn start(database: &TestDatabase) -> Self {
        let arguments = ["backfill", "--chunk", "20", "--pace", "0.9", "--verbose", "--format", "json"];
        Self::of(&mut sti_on(database, &arguments))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it says something with `words` in it, and gives that line.
    #[track_caller]
    pub(crate) fn until(&mut self, words: &str) -> String {
        let found = self.lines.find(|line| line.as_ref().unwrap().contains(words));
        found.unwrap_or_else(|| panic!("it never said {words:?}")).unwrap()
    }

    pub(crate) fn end(mut self, exit: i32) -> serde_json::Value {
        self.lines.by_ref().for_each(drop);
        json(&self.child.wait_with_output().unwrap(), exit)
    }
}

fn another_process_pauses_resumes_and_cancels(database: &TestDatabase) {
    migrate(database);
    let rows = || database.count("projects_schoolproject") + database.count("projects_selfstudyproject");
    let before = rows();
    let mut backfill = Running::start(database);
    backfill.until("chunk 2:");
    let paused = told(database, &["pause", "--reason", "look at the graphs"]).output().unwrap();
    filters(database).bind(|| insta::assert_snapshot!("pause_a_run", shown(&paused)));
    let waiting = backfill.until("waiting: ");
    filters(database).bind(|| insta::assert_snapshot!("pause_waiting", waiting));
    assert_eq!(database.count("sti_backfill_chunk WHERE state = 'leased'"), 0);

    let resumed = told(database, &["resume"]).output().unwrap();
    filters(database).bind(|| insta::assert_snapshot!("resume_a_run", shown(&resumed)));
    backfill.until("waited ");
    backfill.until("chunk ");

    told(database, &["pause", "--reason", "again"]).output().unwrap();
    backfill.until("waiting: ");
    let cancelled =
        json(&told(database, &["cancel", "--reason", "enough", "--format", "json"]).output().unwrap(), 0);
    assert_eq!((&cancelled["cancelled"], &cancelled["still_paused"]), (&1.into(), &true.into()));
    assert_eq!(cancelled["created"], rows() - before);
    let ended = backfill.end(1);
    assert_eq!(ended["ending"], "given_up");
    let reason = ended["stop_reason"].as_str().unwrap();
    assert!(reason.starts_with("cancelled by ana@") && reason.ends_with(": enough"), "{reason}");
}

/// The report claims nothing of a chunk that was never begun.
fn a_stop_before_the_first_chunk_says_so(database: &TestDatabase) {
    migrate(database);
    told(database, &["pause", "--reason", "not tonight"]).output().unwrap();
    let mut backfill = Running::of(&mut sti_on(database, &["backfill"]));
    backfill.until("waiting: paused by ana@");
    signal(&backfill.child, "INT");
    let output = backfill.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("Run 1 was stopped, as asked. Each chunk is committed as a whole, or nothing"),
        "{said}"
    );
    assert!(!said.contains("after the chunk"), "{said}");
}

/// As docs/runbook.md has it: SIGHUP ends it at once, and the same command goes on.
fn a_terminal_that_goes_away_costs_a_chunk_at_most(database: &TestDatabase) {
    migrate(database);
    let backfill = sti_on(database, &["backfill", "--chunk", "20", "--pace", "0.9", "--verbose"]);
    // Whoever runs the tests under nohup ignores it, and so would the backfill.
    let mut unprotected = Command::new("env");
    unprotected.arg("--default-signal=HUP").arg(backfill.get_program()).args(backfill.get_args());
    unprotected.envs(backfill.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut backfill = Running::of(&mut unprotected);
    backfill.until("chunk 2:");
    signal(&backfill.child, "HUP");
    backfill.lines.by_ref().for_each(drop);
    let ended = backfill.child.wait().unwrap();
    assert_eq!(ended.signal(), Some(1), "a shell shows it as 129");
    let done = database.count("sti_backfill_chunk WHERE state = 'done'");
    assert!(done >= 2 && database.count("sti_backfill_chunk WHERE state = 'leased'") <= 1);
    let again = json(&sti_on(database, &["backfill", "--format", "json"]).output().unwrap(), 1);
    assert_eq!((&again["resumed"], &again["ending"]), (&true.into(), &"complete".into()));
    check_ledger(database);
}

/// Somebody holds the ledger for longer than they wait.
fn a_lock_in_the_way_is_exit_code_2(database: &TestDatabase) {
    migrate(database);
    let mut writer = PlainConnection::open(database.url()).unwrap();
    writer.execute(database.either("BEGIN; LOCK TABLE sti_backfill_control", "BEGIN IMMEDIATE")).unwrap();
    let output = told(database, &["pause", "--reason", "users report slow pages"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    writer.execute("ROLLBACK").unwrap();
    assert_eq!(database.count("sti_backfill_control"), 0);
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
}

fn a_wait_ends_with_a_signal(database: &TestDatabase) {
    migrate(database);
    told(database, &["pause", "--reason", "not tonight"]).output().unwrap();
    let mut backfill = Running::start(database);
    backfill.until("waiting: paused by ana@");
    signal(&backfill.child, "INT");
    assert_eq!(backfill.end(3)["ending"], "stopped");
    assert_eq!(database.count("sti_backfill_chunk"), 0);
}
