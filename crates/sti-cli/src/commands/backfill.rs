//! `sti backfill`

mod gated;
mod ledger_watch;
mod report;

use std::sync::Arc;
use std::time::Duration;

use sti_cli::answer::EXIT_CODES;
use sti_cli::duration::duration;
use sti_cli::logs::LogObserver;
use sti_cli::signals::Listener;
use sti_cli::{Answer, Common, Exit, Failure, Report as _, Target, flag, progress};
use sti_core::backfill::{
    Backfill, BackfillConfig, BackfillError, ChunkSize, ChunkTime, Ending, ErrorRate, Owner, Pace, Scope,
    Sizing, ThrottleConfig, Window, dry_run,
};
use sti_core::db::{Access, connect};
use sti_core::metrics::{MetricsObserver, Mode};
use sti_core::observe::Observer;
use sti_core::repository::WriteMode;

use self::gated::GateArgs;
use self::ledger_watch::{LedgerWatch, Readers};
use self::report::{DryRunReport, RunReport};
use super::flag_off;

/// Make the missing subtype rows, in chunks; resumes where an earlier run was stopped or killed.
///
/// Each chunk locks its projects, copies the legacy columns into the subtype rows that are missing, counts, and commits
/// together with its entry in the ledger: stop it, kill it or unplug it at any moment and run the same command again.
/// Rows that are there are compared and never changed, and the legacy columns are not touched: nothing has to be
/// undone. sti-migrate back-out empties the subtype tables.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// Projects in every chunk, 1 to 50000: they are locked together until the chunk commits. Without it the size
    /// follows --target-ms.
    #[arg(long, value_name = "N", value_parser = chunk_size, conflicts_with = "target_ms")]
    chunk: Option<ChunkSize>,
    /// How long a chunk should take, 10 to 10000 ms: the size is fitted to it, between 50 and 5000 projects
    /// (2000 on SQLite). Larger ones are not faster; --chunk takes them.
    #[arg(long, value_name = "MS", default_value = "250", value_parser = chunk_time)]
    target_ms: ChunkTime,
    /// Chunks worked on at a time, 1 to 64, each on a connection of its own; one more connection reads how far the run
    /// is. On SQLite always one, since it has one writer. More processes, also on other machines, may join the same run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// How long to wait for what passes by itself before stopping with exit code 3: a server that restarts or takes no
    /// writes, a lock that somebody holds. Every committed chunk begins it anew.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    max_wait: Duration,
    /// Stop with exit code 1 when the database refuses the rows of more projects than this, in percent of at least 100.
    /// The refused projects are in quarantine: `sti quarantine list`.
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = error_rate)]
    max_error_rate: ErrorRate,
    /// Count what would be done, exactly, in a read-only transaction; write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Tell every chunk.
    #[arg(long, short)]
    verbose: bool,
    /// Cover drafts too. Without it, published projects only.
    #[arg(long)]
    include_drafts: bool,
    /// Give up the run that is under way, if there is one, and begin anew. Rows that it made stay.
    #[arg(long, conflicts_with = "dry_run")]
    restart: bool,
    /// Run although ENABLE_STI is off here: for a service that is stopped, so that nothing writes meanwhile.
    #[arg(long, conflicts_with = "dry_run")]
    allow_flag_off: bool,
    /// Wait while a standby is further behind than this, as in 10s; also while there is none, or the lag cannot be
    /// read. PostgreSQL only.
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "dry_run")]
    max_lag: Option<Duration>,
    /// Begin chunks in this time of the day only, as in 02:00-04:00+00:00. The offset from UTC is required; the window
    /// may cross midnight.
    #[arg(long, value_name = "FROM-TO", conflicts_with = "dry_run")]
    window: Option<Window>,
    /// The share of its time that each worker rests, as in 0.5 (as long as it works) or 90%.
    #[arg(long, value_name = "SHARE", default_value = "0", conflicts_with = "dry_run")]
    pace: Pace,
    #[command(flatten)]
    gate: GateArgs,
}

fn chunk_size(text: &str) -> Result<ChunkSize, String> {
    let projects = text.parse::<u32>().map_err(|_| format!("expected 1 to {}", ChunkSize::MAX))?;
    ChunkSize::new(projects).map_err(|e| e.to_string())
}

fn chunk_time(text: &str) -> Result<ChunkTime, String> {
    let expected = || format!("expected {} to {}", ChunkTime::MIN, ChunkTime::MAX);
    let ms = text.parse::<u32>().map_err(|_| expected())?;
    ChunkTime::from_ms(ms).map_err(|e| e.to_string())
}

fn error_rate(text: &str) -> Result<ErrorRate, String> {
    let percent = text.parse::<f64>().map_err(|_| "expected 0 to 100 percent".to_owned())?;
    ErrorRate::percent(percent).map_err(|e| e.to_string())
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let target = common.database.resolve("sti backfill")?;
    let mode = flag::write_mode()?;
    let scope = if options.include_drafts { Scope::All } else { Scope::NonDraft };
    if options.dry_run {
        let _metrics = MetricsObserver::new(Mode::DryRun);
        let mut connection = target.connect(Access::Read)?;
        let dry = dry_run(&mut connection, scope).map_err(not_counted)?;
        DryRunReport::new(&target, scope, mode, &dry).print(common.format)?;
        return Ok(Exit::Done);
    }
    if mode != WriteMode::Legacy {
        return live(options, common, &target, scope);
    }
    let command = scope.command().trim_start_matches("ENABLE_STI=true ");
    let meanwhile = flag_off::refuse(&target, options.allow_flag_off, command)?;
    Ok(meanwhile.judge(&target, live(options, common, &target, scope)?))
}

fn live(options: &Options, common: &Common, target: &Target, scope: Scope) -> Answer {
    let metrics = Arc::new(MetricsObserver::new(Mode::Live));
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let mut config = BackfillConfig::new(Owner::this_process(&host));
    config.scope = scope;
    config.sizing = options.chunk.map_or(Sizing::Aimed(options.target_ms), Sizing::Pinned);
    config.workers = options.workers.into();
    config.max_wait = options.max_wait;
    config.max_error_rate = options.max_error_rate;
    config.restart = options.restart;
    config.throttle = ThrottleConfig { max_lag: options.max_lag, window: options.window, pace: options.pace };
    let _listener = Listener::start(&config.stop, Exit::Stopped)?;
    // Opened once before anything else, so that a wrong URL is told at once.
    drop(target.connect(Access::Write)?);
    let gate = options.gate.watch();
    config.gate = gate.as_ref().map(|(gate, _)| gate.clone());
    let others = progress::Others::default();
    let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(LogObserver::new(&config.owner, &others))];
    observers.extend(progress::display(options.verbose, &others));
    observers.push(Box::new(Arc::clone(&metrics)));
    let metered = common.telemetry.wanted().then(|| Arc::clone(&metrics));
    let readers = Readers { owner: config.owner.clone(), progress: others, metrics: metered };
    let watch = LedgerWatch::start(target.url.clone(), readers);
    let ended = Backfill::run(&|| connect(&target.url, Access::Write, target.command()), &config, &observers);
    drop((observers, watch, gate));
    metrics.ended(&ended);
    let backfill = ended.map_err(failure)?;
    RunReport::new(target, scope, &backfill).print(common.format)?;
    let disagreements = backfill.totals.conflict.total() + backfill.totals.error.total();
    Ok(match backfill.ending {
        Ending::Stopped => Exit::Stopped,
        Ending::StillMissing(_)
        | Ending::TooManyErrors { .. }
        | Ending::GivenUp
        | Ending::FailedElsewhere => Exit::Negative,
        Ending::Complete if disagreements > 0 => Exit::Negative,
        Ending::Complete => Exit::Done,
    })
}

fn not_counted(error: BackfillError) -> Failure {
    if !error.is_resumable() {
        return error.into();
    }
    let message = format_args!("not counted: {error}\nNothing is known; the same command counts anew");
    Failure::of(Exit::Stopped, message, &error)
}

fn failure(error: BackfillError) -> Failure {
    match error {
        BackfillError::CannotResume { .. } => Failure::refused(format_args!("refused: {error}")),
        BackfillError::Unknown { .. } => Failure::of(
            Exit::Unknown,
            format_args!(
                "{error}\nWhat the ledger says is true: run the same command again when the server answers"
            ),
            &error,
        ),
        error if error.is_resumable() => Failure::of(
            Exit::Stopped,
            format_args!(
                "stopped: {error}\nEvery chunk before it is committed; the same command takes up from there"
            ),
            &error,
        ),
        error => Failure::from(error),
    }
}
