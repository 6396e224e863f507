//! `cargo xtask test`: every test on both backends, with a PostgreSQL server of its own; on several versions of it,
//! one after the other, if asked to.

mod bundle;
mod results;
pub(crate) mod server;
mod table;
mod versions;

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use sti_core::test_support::postgres::{BINARIES_VARIABLE, SERVER_VARIABLE};

use crate::failure::{Failure, Outcome, workspace};
use crate::tidy::snapshots;
use results::Results;
use server::{Source, TestServer};
use table::{Row, Verdict};
use versions::Wanted;

/// How many tests of one binary run at a time.
const THREADS: &str = "RUST_TEST_THREADS";

/// How often a process is killed at random.
const KILLS: &str = "STI_TEST_KILLS";

/// Run all tests on PostgreSQL and SQLite.
///
/// Starts a server on a socket in a temporary folder, runs `cargo test --workspace` and stops the server, once for
/// each version that is asked for; the first line of each run names the version that the server itself reports, and
/// a table of all runs comes last.
///
/// Without an option it takes the PostgreSQL that is here (STI_POSTGRES_BIN, PATH, /usr/lib/postgresql), and installs
/// Debian's package when it is root and there is none; STI_TEST_POSTGRES, the superuser's URL of a running server,
/// takes its place. pgbouncer, which some tests start, is installed likewise.
///
/// Exit code: 0 if every test of every version passed; 1 if a test failed or was ignored, nothing was tested, or a
/// whole run left a backend or a snapshot out; 2 if a server could not be had.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The version to test with: 14 to 18, several with commas, or `all`. A pinned bundle of server programs is
    /// fetched with npm, its digest is checked, and it is kept below the target folder.
    #[arg(long, value_name = "N|all", value_delimiter = ',', value_parser = versions::parse)]
    postgres_version: Vec<Wanted>,
    /// A folder that holds `initdb` and `postgres`, of whatever version; may be given more than once.
    #[arg(long, value_name = "DIR")]
    postgres_bin: Vec<PathBuf>,
    /// The long form: processes are killed at random 200 times instead of 20, on each backend.
    #[arg(long)]
    long: bool,
    /// What `cargo test` gets, such as `-- -p sti-core --test it repository` (then the checks of a whole run
    /// are left out).
    #[arg(last = true)]
    cargo: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    // All servers are found before the first test runs: half a matrix is no answer.
    let sources = server::sources(&options.postgres_version, &options.postgres_bin)?;
    let mut rows = Vec::new();
    for source in sources {
        let name = source.to_string();
        rows.push(match run_on(source, options) {
            Ok(row) => row,
            Err(failure) => {
                eprintln!("error: {failure}");
                Row { version: name, results: Results::default(), seconds: 0, verdict: Verdict::CouldNot }
            }
        });
    }
    println!("\n{}", table::render(&rows));
    Ok(table::exit_code(&rows))
}

/// One run of everything, on one server.
fn run_on(source: Source, options: &Options) -> Result<Row, Failure> {
    let whole = options.cargo.is_empty();
    let server = server::start(source)?;
    let notes = tempfile::tempdir().map_err(Failure::during("make a temporary folder"))?;
    let references = notes.path().join("snapshots");

    let began = Instant::now();
    let (status, results) = watch(command(&server, options, &references))?;
    let seconds = began.elapsed().as_secs();
    let version = server.version.split_whitespace().next().unwrap_or_default().to_owned();
    drop(server);

    let mut complaints = results.complaints(whole);
    if whole && status.success() {
        complaints.extend(snapshots::unreferenced(&workspace(), &references)?);
    }
    for complaint in &complaints {
        eprintln!("error: {complaint}");
    }
    let verdict = if status.success() && complaints.is_empty() { Verdict::Passed } else { Verdict::Failed };
    Ok(Row { version, results, seconds, verdict })
}

fn command(server: &TestServer, options: &Options, references: &std::path::Path) -> Command {
    let words = &options.cargo;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("test");
    if !words.iter().any(|word| word == "-p" || word == "--package") {
        cargo.arg("--workspace");
    }
    if words.is_empty() {
        cargo.arg("--no-fail-fast");
    }
    cargo.args(words).current_dir(workspace());
    cargo.env(SERVER_VARIABLE, server.url());
    // Many tests wait: for a lock that is held on purpose, or for the server. More of them than there are processors
    // took 0.6 of the time.
    if env::var_os(THREADS).is_none() {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        cargo.env(THREADS, (3 * processors).to_string());
    }
    if options.long {
        cargo.env(KILLS, "200");
    }
    // For the tests that crash or configure a server of their own.
    cargo.env(BINARIES_VARIABLE, server.binaries.folder());
    // A snapshot that differs must fail here, and never be written.
    cargo.env("INSTA_UPDATE", "no").env("INSTA_SNAPSHOT_REFERENCES_FILE", references);
    cargo
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
