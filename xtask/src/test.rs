//! `cargo xtask test`: every test on both backends, with a PostgreSQL server of its own.

mod results;
mod server;

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use sti_core::test_support::postgres::SERVER_VARIABLE;

use crate::failure::{Failure, Outcome, workspace};
use crate::tidy::snapshots;
use results::Results;

/// Run all tests on PostgreSQL and SQLite.
///
/// Finds PostgreSQL (STI_POSTGRES_BIN, PATH, /usr/lib/postgresql), installs Debian's package when it is root and
/// there is none, starts a server on a socket in a temporary folder, runs `cargo test --workspace` and stops the
/// server. STI_TEST_POSTGRES, the superuser's URL of a running server, takes its place.
///
/// Exit code: cargo's own; 1 if no test ran, one was ignored, or a whole run left a backend or a snapshot out;
/// 2 if there is no server.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What `cargo test` gets, such as `-- -p sti-core --test it repository` (then the checks of a whole run
    /// are left out).
    #[arg(last = true)]
    cargo: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let whole = options.cargo.is_empty();
    let server = server::start()?;
    let notes = tempfile::tempdir().map_err(Failure::during("make a temporary folder"))?;
    let references = notes.path().join("snapshots");

    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("test");
    if !options.cargo.iter().any(|word| word == "-p" || word == "--package") {
        cargo.arg("--workspace");
    }
    if whole {
        cargo.arg("--no-fail-fast");
    }
    cargo.args(&options.cargo).current_dir(workspace());
    cargo.env(SERVER_VARIABLE, server.url());
    // A snapshot that differs must fail here, and never be written.
    cargo.env("INSTA_UPDATE", "no").env("INSTA_SNAPSHOT_REFERENCES_FILE", &references);
    let (status, results) = watch(cargo)?;
    drop(server);

    println!("\n{results}");
    let mut complaints = results.complaints(whole);
    if whole && status.success() {
        complaints.extend(snapshots::unreferenced(&workspace(), &references)?);
    }
    for complaint in &complaints {
        eprintln!("error: {complaint}");
    }
    Ok(exit_code(status, complaints.is_empty()))
}

/// Runs cargo; its output goes on as it comes, and is counted on the way.
fn watch(mut cargo: Command) -> Result<(ExitStatus, Results), Failure> {
    let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(Failure::during("run cargo"))?;
    let mut results = Results::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(Failure::during("read cargo's output"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            results.read(&line);
        }
    }
    let status = child.wait().map_err(Failure::during("wait for cargo"))?;
    Ok((status, results))
}

fn exit_code(status: ExitStatus, fine: bool) -> ExitCode {
    if status.success() {
        return ExitCode::from(u8::from(!fine));
    }
    // Killed by a signal: no code to pass on.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
