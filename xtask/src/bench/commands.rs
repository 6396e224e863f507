//! The binaries that make a sample ready, drop its columns and bring them back.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Measured, measure};
use crate::failure::{Failure, workspace};

/// The longest that one drop may take.
const LONGEST: Duration = Duration::from_secs(600);

/// What must be there after each way back, in SQL of our own: the numbers that the reports claim.
const LEGACY_COLUMNS: &str = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'projects_project'::regclass \
     AND NOT attisdropped AND attname IN \
     ('course_name', 'course_code', 'teacher_name', 'goal_description', 'study_frequency')";
const TRIGGERS: &str = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'sti\\_%'";
const ROWS: &str = "SELECT (SELECT count(*) FROM projects_schoolproject) + \
     (SELECT count(*) FROM projects_selfstudyproject)";

/// The release builds of our binaries.
pub(super) struct Commands {
    folder: PathBuf,
}

/// A plan that is open.
pub(super) struct Plan {
    waivers: Vec<String>,
    digest: String,
}

/// A drop that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) seconds: f64,
    pub(super) held_ms: i64,
    pub(super) attempts: i64,
}

impl Commands {
    pub(super) fn build() -> Result<Self, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--release", "-p", "sti-cli", "-p", "sti-migrate"]).current_dir(workspace());
        let status = command.status().map_err(Failure::during("run cargo"))?;
        if !status.success() {
            return Err(Failure::new("the release build failed"));
        }
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
        Ok(Self { folder: target.join("release") })
    }

    fn command(&self, program: &str, arguments: &[&str], url: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.args(arguments).args(["--database-url", url]).env("ENABLE_STI", "true").stdin(Stdio::null());
        command
    }

    /// Makes every subtype row.
    pub(super) fn make_ready(&self, url: &str) -> Result<(), Failure> {
        let arguments = ["backfill", "--include-drafts", "--workers", "2"];
        // Exit code 1: rows of unknown type are no error here.
        let _ = output(&mut self.command("sti", &arguments, url))?;
        super::place::execute(url, "VACUUM ANALYZE")
    }

    /// The plan, with a waiver for what only the archive keeps.
    pub(super) fn plan(&self, url: &str) -> Result<Plan, Failure> {
        let shown = self.json(&["drop-legacy"], url)?;
        let gates = shown["gates"].as_array().cloned().unwrap_or_default();
        let mut waivers = Vec::new();
        for gate in gates.iter().filter(|gate| gate["verdict"] == "refused") {
            waivers.push("--waive".to_owned());
            waivers.push(format!("{}={}", gate["name"].as_str().unwrap_or_default(), gate["found"]));
        }
        let arguments: Vec<&str> =
            ["drop-legacy"].into_iter().chain(waivers.iter().map(String::as_str)).collect();
        let open = self.json(&arguments, url)?;
        match (open["outcome"].as_str(), open["digest"].as_str()) {
            (Some("shown"), Some(digest)) => Ok(Plan { digest: digest.to_owned(), waivers }),
            _ => Err(Failure::new(format!("the plan is not open: {}", open["gates"]))),
        }
    }

    pub(super) fn drop(&self, url: &str, plan: &Plan) -> Result<Done, Failure> {
        let mut arguments = vec!["drop-legacy", "--attempts", "100", "--execute", "--confirm", &plan.digest];
        arguments.extend(plan.waivers.iter().map(String::as_str));
        let began = Instant::now();
        let done = self.json(&arguments, url)?;
        let took = began.elapsed();
        if done["outcome"] != "done" || took > LONGEST {
            return Err(Failure::new(format!("not dropped in {:.0} s: {done:#}", took.as_secs_f64())));
        }
        let figure = |name: &str| done[name].as_i64().unwrap_or(-1);
        Ok(Done { seconds: took.as_secs_f64(), held_ms: figure("held_ms"), attempts: figure("attempts") })
    }

    /// Brings the columns back.
    pub(super) fn restore(&self, url: &str) -> Result<Measured, Failure> {
        let restored =
            measure(self.command("sti-migrate", &["restore-legacy"], url).arg("--attempts=100"), 0)?;
        super::place::expect(url, "5", LEGACY_COLUMNS)?;
        Ok(restored)
    }

    /// Takes the triggers away that came with the columns.
    pub(super) fn finish(&self, url: &str) -> Result<Measured, Failure> {
        let finish = &mut self.command("sti-migrate", &["restore-legacy", "--finish"], url);
        let finished = measure(finish.arg("--attempts=100"), 0)?;
        super::place::expect(url, "0", TRIGGERS)?;
        Ok(finished)
    }

    /// Empties the subtype tables.
    pub(super) fn back_out(&self, url: &str) -> Result<Measured, Failure> {
        let plan = self.json(&["back-out"], url)?;
        let digest = plan["digest"].as_str().unwrap_or_default();
        let arguments = ["back-out", "--execute", "--confirm", digest];
        let backed_out = measure(&mut self.command("sti-migrate", &arguments, url), 0)?;
        super::place::expect(url, "0", ROWS)?;
        Ok(backed_out)
    }

    fn json(&self, arguments: &[&str], url: &str) -> Result<Value, Failure> {
        let mut command = self.command("sti-migrate", arguments, url);
        let words = output(command.args(["--format", "json"]))?;
        serde_json::from_slice(&words).map_err(Failure::during("read the report of sti-migrate"))
    }
}

/// Standard output; an exit code above 1 is a failure.
fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(Failure::during(format!("run {program}")))?;
    if output.status.code().is_none_or(|code| code > 1) {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{program} ended with {}: {words}", output.status)));
    }
    Ok(output.stdout)
}
