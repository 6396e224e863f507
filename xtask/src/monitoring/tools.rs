//! promtool and amtool: what they say about rules, tests, configurations, and what the real binaries emit.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{binaries, rules};
use crate::failure::Failure;

const INSTALL: &str = "apt-get install prometheus prometheus-alertmanager prometheus-postgres-exporter";

/// Fails when a tool is missing.
pub(super) fn need(tools: &[&str]) -> Result<(), Failure> {
    for tool in tools {
        let there = Command::new(tool).arg("--version").output();
        there.map_err(|e| Failure::new(format!("cannot run {tool} ({e}): {INSTALL}")))?;
    }
    Ok(())
}

/// Runs every check; gives the names of those that failed.
pub(super) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let monitoring = root.join("docs/monitoring");
    let mut failed = Vec::new();
    let mut run = |title: &str, command: &mut Command| -> Result<(), Failure> {
        println!("\n-- {title}");
        let status = command.status().map_err(Failure::during(format!("run {title}")))?;
        if !status.success() {
            failed.push(format!("{title} ({status})"));
        }
        Ok(())
    };
    let tool = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(name);
        command.current_dir(&monitoring).args(arguments);
        command
    };
    let lint = ["check", "rules", "--lint=all", "--lint-fatal", "rules.yml", "baseline.example.rules.yml"];
    run("promtool check rules --lint=all --lint-fatal", &mut tool("promtool", &lint))?;
    let tests = rules::test_files(root)?;
    run("promtool test rules", tool("promtool", &["test", "rules"]).args(&tests))?;
    // The example names the baseline, which is made before the rollout.
    let folder = tempfile::tempdir().map_err(Failure::during("make a temporary folder"))?;
    for (from, to) in [
        ("prometheus.yml", "prometheus.yml"),
        ("rules.yml", "rules.yml"),
        ("baseline.example.rules.yml", "baseline.rules.yml"),
    ] {
        let copied = fs::copy(monitoring.join(from), folder.path().join(to));
        copied.map_err(Failure::during(format!("copy {from}")))?;
    }
    let config = folder.path().join("prometheus.yml");
    run("promtool check config", tool("promtool", &["check", "config"]).arg(config))?;
    run("amtool check-config", &mut tool("amtool", &["check-config", "alertmanager.yml"]))?;
    let route = |receiver: &str, labels: &[&str]| {
        let verify = format!("--verify.receivers={receiver}");
        let arguments = ["config", "routes", "test", "--config.file=alertmanager.yml", &verify];
        let mut command = tool("amtool", &arguments);
        command.args(labels);
        command
    };
    let trigger = ["alertname=DatabaseSlowQueries", "severity=warning", "rollback_trigger=true"];
    run("amtool: a rollback trigger goes to the one on call", &mut route("rollout-on-call", &trigger))?;
    let other = ["alertname=STIBackfillStalled", "severity=warning"];
    run("amtool: a warning goes to the team", &mut route("team", &other))?;

    for (name, file) in binaries::metrics(root, folder.path())? {
        let input = File::open(&file).map_err(Failure::during(format!("read {}", file.display())))?;
        let mut check = tool("promtool", &["check", "metrics"]);
        run(&format!("promtool check metrics: {name}"), check.stdin(Stdio::from(input)))?;
    }
    Ok(failed)
}

/// Runs a program to its end; a failure with what it said unless it ends with one of `codes`.
pub(super) fn finish(command: &mut Command, codes: &[i32]) -> Result<(), Failure> {
    let name = |word: &OsStr| word.to_string_lossy().into_owned();
    let shown: Vec<String> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(name).collect();
    let shown = shown.join(" ");
    let output = command.output().map_err(Failure::during(format!("run {shown}")))?;
    if output.status.code().is_some_and(|code| codes.contains(&code)) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{shown}: {}\n{said}", output.status)))
}
