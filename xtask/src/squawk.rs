//! `cargo xtask squawk`: what a linter for migrations says about those for PostgreSQL.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::failure::{Failure, Outcome, workspace};
use crate::tidy::tree;

/// The newest when its rules were last gone through; a newer one may have more.
const VERSION: &str = "2.70.0";

/// Read the PostgreSQL migrations, and the statements of all triggers that code makes, with squawk (squawkhq.com).
///
/// `.squawk.toml` says which rules do not hold here, and why. squawk does not look into `DO` blocks, so their
/// statements are given to it apart. It is installed with pip into a virtual environment below the target folder.
///
/// Exit code: 0 if it has nothing to say, 1 with findings, 2 if it could not be had.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

pub(crate) fn run(_: &Options) -> Outcome {
    let root = workspace();
    let migrations = migrations(&root)?;
    if migrations.is_empty() {
        return Err(Failure::new("there is no migration for PostgreSQL to read"));
    }
    let squawk = install()?;
    let mut clean = status(squawk_in(&root, &squawk).args(&migrations))?;
    for file in &migrations {
        let text = fs::read_to_string(root.join(file)).map_err(Failure::during(format!("read {file}")))?;
        if let Some(statements) = inside_of_do(&text) {
            println!("{file}: the statements of its DO block");
            clean &= given(squawk_in(&root, &squawk).args(["--stdin-filepath", file]), &statements)?;
        }
    }
    for file in made_by_code(&root)? {
        let text = fs::read_to_string(root.join(&file)).map_err(Failure::during(format!("read {file}")))?;
        println!("{file}: the statements that code makes");
        clean &= given(squawk_in(&root, &squawk).args(["--stdin-filepath", &file]), snapshot(&text))?;
    }
    Ok(ExitCode::from(u8::from(!clean)))
}

/// The scripts that go up; those that go down drop what the others made, which is what they are for.
fn migrations(root: &Path) -> Result<Vec<String>, Failure> {
    let folder = root.join("crates/sti-core/migrations");
    let ours = |file: &PathBuf| {
        file.ends_with("up.sql") && file.components().any(|part| part.as_os_str() == "postgres")
    };
    Ok(tree::files(&folder)?.iter().filter(|file| ours(file)).map(|file| tree::shown(root, file)).collect())
}

/// Where the snapshots are of SQL that is put together for the schema that is there.
const MADE_BY_CODE: [&str; 3] =
    ["sync/snapshots", "contract/change_log/snapshots", "contract/restore/snapshots"];

/// The snapshots of what code makes for PostgreSQL: all that come, and not those that take away.
fn made_by_code(root: &Path) -> Result<Vec<String>, Failure> {
    let comes = |file: &&PathBuf| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.ends_with(".snap") && !name.contains("removal") && !name.contains("sqlite")
    };
    let mut found = Vec::new();
    for folder in MADE_BY_CODE {
        let files = tree::files(&root.join("crates/sti-core/src").join(folder))?;
        found.extend(files.iter().filter(comes).map(|file| tree::shown(root, file)));
    }
    Ok(found)
}

/// What a snapshot holds, behind its header.
fn snapshot(text: &str) -> &str {
    text.splitn(3, "---\n").nth(2).unwrap_or(text)
}

fn squawk_in(root: &Path, squawk: &Path) -> Command {
    let mut command = Command::new(squawk);
    command.args(["--config", ".squawk.toml"]).current_dir(root);
    command
}

/// Makes the virtual environment, unless it is there and works.
fn install() -> Result<PathBuf, Failure> {
    // target/PROFILE/xtask
    let program = env::current_exe().map_err(Failure::during("find this program"))?;
    let target = program.ancestors().nth(2).unwrap_or(&program);
    let environment = target.join(format!("squawk-{VERSION}"));
    let squawk = environment.join("bin/squawk");
    let works = |squawk: &Path| {
        let output = Command::new(squawk).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(VERSION))
    };
    if works(&squawk) {
        return Ok(squawk);
    }
    println!("installing squawk {VERSION} into {}", environment.display());
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    let mut fill = Command::new(environment.join("bin/pip"));
    fill.args(["install", "--quiet", "--disable-pip-version-check", &format!("squawk-cli=={VERSION}")]);
    for (step, command) in [("python3 -m venv", &mut make), ("pip install squawk-cli", &mut fill)] {
        let output = command.output().map_err(Failure::during(format!("run {step}")))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
            return Err(Failure::new(format!("{step} failed ({}): {}", output.status, said.concat().trim())));
        }
    }
    if works(&squawk) { Ok(squawk) } else { Err(Failure::new(format!("{} does not run", squawk.display()))) }
}

/// Whether squawk had nothing to say.
fn status(command: &mut Command) -> Result<bool, Failure> {
    verdict(command.status().map_err(Failure::during("run squawk"))?)
}

fn given(command: &mut Command, text: &str) -> Result<bool, Failure> {
    let failed = "give squawk a statement";
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(Failure::during("run squawk"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(Failure::during(failed))?;
    }
    verdict(child.wait().map_err(Failure::during(failed))?)
}

fn verdict(status: std::process::ExitStatus) -> Result<bool, Failure> {
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(Failure::new(format!("squawk failed ({status})"))),
    }
}

/// The statements on tables and indexes inside of `DO` blocks, on the lines on which they are, with squawk's own
/// comments; `None` if there is no such block.
fn inside_of_do(text: &str) -> Option<String> {
    const BEGINNINGS: [&str; 3] = ["ALTER ", "CREATE ", "DROP "];
    let begins = |line: &str| BEGINNINGS.iter().any(|word| line.starts_with(word));
    let (mut tag, mut open, mut found) = (None, false, false);
    let mut lines = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        let mut keep = trimmed.starts_with("-- squawk-ignore");
        match tag {
            None => tag = trimmed.strip_prefix("DO ").filter(|tag| tag.starts_with('$')),
            Some(end) if trimmed.starts_with(end) => tag = None,
            Some(_) => {
                open |= begins(trimmed);
                found |= open;
                keep |= open;
                open &= !trimmed.ends_with(';');
            }
        }
        lines.push(if keep { line } else { "" });
    }
    found.then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use sti_core::db::migrations::{DROP, OURS};

    use super::*;

    #[test]
    fn statements_of_a_do_block_keep_their_lines() {
        let text = "-- squawk-ignore-file some-rule\nCREATE TABLE b (id int);\nDO $x$\nBEGIN\n    SELECT 1;\n    \
                    ALTER TABLE a\n        DROP COLUMN b;\n    RETURN;\nEND\n$x$;\nDROP TABLE c;\n";
        assert_eq!(
            inside_of_do(text).unwrap(),
            "-- squawk-ignore-file some-rule\n\n\n\n\n    ALTER TABLE a\n        DROP COLUMN b;\n\n\n\n"
        );
        assert_eq!(inside_of_do("CREATE TABLE b (id int);\n"), None);
    }

    #[test]
    fn the_statements_of_the_triggers_are_found() {
        let root = workspace();
        let found = made_by_code(&root).unwrap();
        for (folder, files) in MADE_BY_CODE.into_iter().zip([3, 1, 1]) {
            let of_folder = found.iter().filter(|file| file.contains(folder)).count();
            assert_eq!(of_folder, files, "{folder}: {found:?}");
        }
        for file in found {
            let text = fs::read_to_string(root.join(&file)).unwrap();
            assert!(snapshot(&text).contains(" TRIGGER "), "{file}");
            assert!(snapshot(&text).starts_with("CREATE "), "{file}");
        }
    }

    #[test]
    fn every_migration_is_read_and_the_drop_too() {
        let found = migrations(&workspace()).unwrap();
        let folder = |path: String| found.iter().any(|file| file.ends_with(&path));
        for migration in OURS {
            assert!(folder(format!("migrations/postgres/{migration}/up.sql")), "{migration}");
        }
        assert!(folder(format!("migrations/contract/postgres/{DROP}/up.sql")), "{DROP}");
        assert_eq!(found.len(), OURS.len() + 1, "{found:?}");
    }

    /// Right above each exclusion, in the configuration and in the scripts, stands a comment.
    #[test]
    fn every_exclusion_has_its_reason() {
        let root = workspace();
        let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
        let config = read(".squawk.toml");
        let rules = config.split_once("excluded_rules = [").unwrap().1.split_once("\n]").unwrap().0;
        let files: Vec<String> = migrations(&root).unwrap().iter().map(|file| read(file)).collect();
        let scripts = files.iter().map(|text| ("-- squawk-ignore", "--", text.as_str()));
        let mut exclusions = 0;
        for (begins, comment, text) in scripts.chain([("\"", "#", rules)]) {
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with(begins)) {
                // Rules with one reason may follow each other.
                let mut above = lines[..at].iter().rev().skip_while(|line| line.starts_with(begins));
                assert!(above.next().is_some_and(|above| above.starts_with(comment)), "{line} has no reason");
                exclusions += 1;
            }
        }
        assert!(exclusions >= 5, "{exclusions}");
    }
}
