//! `sti gate`

mod pause;
mod report;

use std::time::{Duration, Instant};

use sti_cli::answer::EXIT_CODES;
use sti_cli::duration::duration;
use sti_cli::gate::{Reading, Trigger, ask};
use sti_cli::prometheus::Prometheus;
use sti_cli::signals::Listener;
use sti_cli::stderr::{say, warn};
use sti_cli::{Answer, Common, Exit, Failure, Report as _, Target, http};
use sti_core::backfill::StopSignal;

use self::pause::Pause;
use self::report::GateReport;

/// Questions that may fail in a row before --watch gives up: Prometheus may be restarted meanwhile.
const FAILURES: u32 = 3;

/// Ask Prometheus whether the rollout may go on: exit code 0 says go, 1 stop, 2 that it could not be asked.
///
/// The rollout plan's rollback triggers, with the value, the limit and the query of each: API 5xx above 1 % and database
/// time per transaction more than 20 % above its baseline, both all through the window; errors of the backfill above
/// 5 %; API p95 more than 10 % above its baseline; and any firing alert with rollback_trigger="true". The rules of
/// docs/monitoring and the baseline that `sti baseline` writes must be loaded. What cannot be read is a reason to stop.
/// Where a database is named, a `sti pause` that holds in it is one too: what users report is in no metric.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// The Prometheus server, as in http://prometheus:9090.
    #[arg(long, value_name = "URL", value_parser = http::base_url)]
    prometheus: url::Url,
    /// How long "sustained" is.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    window: Duration,
    /// Leave a trigger out, knowingly: backfill-errors and backfill-errors-now while no backfill has run, for example.
    /// May be given more than once.
    #[arg(long, value_name = "TRIGGER", value_enum)]
    without: Vec<Trigger>,
    /// Go on asking until the answer is stop, then end with exit code 1.
    #[arg(long)]
    watch: bool,
    /// With --watch: the time between two questions.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = duration)]
    every: Duration,
}

impl Options {
    fn triggers(&self) -> Vec<Trigger> {
        Trigger::ALL.into_iter().filter(|trigger| !self.without.contains(trigger)).collect()
    }
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let prometheus = Prometheus::new(options.prometheus.clone());
    say(format_args!("sti gate: Prometheus at {}", prometheus.url()));
    if options.triggers().is_empty() {
        return Err(Failure::failed("every trigger is left out: nothing to ask"));
    }
    let target = common.database.resolve_if_named("sti gate")?;
    let asked = || asked(options, &prometheus, target.as_ref());
    let asked = if options.watch { watch(options, asked)? } else { Some(asked()?) };
    let Some(Asked { readings, pause }) = asked else { return Ok(Exit::Stopped) };
    let report = GateReport::new(prometheus.url(), &options.without, &readings, &pause);
    report.print(common.format)?;
    Ok(if report.is_go() { Exit::Done } else { Exit::Negative })
}

/// What was answered at one time.
struct Asked {
    readings: Vec<Reading>,
    pause: Pause,
}

impl Asked {
    fn is_go(&self) -> bool {
        self.pause.is_go() && self.readings.iter().all(|reading| reading.verdict.is_go())
    }
}

fn asked(options: &Options, prometheus: &Prometheus, target: Option<&Target>) -> Result<Asked, Failure> {
    let readings = ask(prometheus, &options.triggers(), options.window)?;
    Ok(Asked { readings, pause: Pause::ask(target) })
}

/// Sleeps, and wakes up for an interrupt.
fn rest(stop: &StopSignal, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time && !stop.is_set() {
        std::thread::sleep(Duration::from_millis(100).min(time));
    }
}

/// Asks until the answer is stop, and gives all of that moment; `None` after an interrupt.
fn watch(options: &Options, ask: impl Fn() -> Result<Asked, Failure>) -> Result<Option<Asked>, Failure> {
    let stop = StopSignal::default();
    let _listener = Listener::start(&stop, Exit::Stopped)?;
    let mut failed = 0;
    let mut told = false;
    while !stop.is_set() {
        match ask() {
            Ok(asked) if !asked.is_go() => return Ok(Some(asked)),
            Ok(_) => {
                if !told || failed > 0 {
                    say("go; watching");
                    told = true;
                }
                failed = 0;
            }
            Err(failure) => {
                failed += 1;
                if failed >= FAILURES {
                    return Err(failure);
                }
                warn(format_args!("{} (try {failed} of {FAILURES})", failure.message));
            }
        }
        rest(&stop, options.every);
    }
    Ok(None)
}
