//! `sti baseline`

mod measure;
mod report;
mod rules_file;

use std::path::PathBuf;
use std::time::Duration;

use sti_cli::answer::EXIT_CODES;
use sti_cli::duration::duration;
use sti_cli::prometheus::Prometheus;
use sti_cli::stderr::say;
use sti_cli::{Answer, Common, Exit, Failure, Report as _, http};

use self::report::BaselineReport;

/// Freeze how fast API and database are before the rollout, as a rules file for Prometheus.
///
/// "10 % slower" and "20 % slower" need something to compare with that the rollout itself does not move: the average of
/// the API's p95 and of the database's time per transaction over the last half hour. The rules of docs/monitoring must
/// have been loaded for that long. Refused while a backfill runs or a rollback trigger fires, and where the file is
/// there already: a baseline that is taken in the middle of the trouble hides the trouble.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    /// The Prometheus server, as in http://prometheus:9090.
    #[arg(long, value_name = "URL", value_parser = http::base_url)]
    prometheus: url::Url,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "baseline.rules.yml")]
    out: PathBuf,
    /// How long to look back.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    over: Duration,
}

pub(crate) fn run(options: &Options, common: &Common) -> Answer {
    let prometheus = Prometheus::new(options.prometheus.clone());
    say(format_args!("sti baseline: Prometheus at {}", prometheus.url()));
    if options.out.exists() {
        return Err(Failure::refused(format_args!(
            "refused: {} is there already. A baseline of now hides what the rollout has done so far; remove the file if \
             it has not begun",
            options.out.display()
        )));
    }
    let baselines = measure::measure(&prometheus, options.over)?;
    rules_file::write(&options.out, &prometheus, options.over, &baselines)?;
    BaselineReport::new(&options.out, options.over, &baselines).print(common.format)?;
    Ok(Exit::Done)
}
