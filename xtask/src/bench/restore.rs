//! `cargo xtask bench restore`: how long the ways back take, and how long writers stall meanwhile.

use std::process::ExitCode;

use serde_json::json;
use sti_core::db::Backend;

use super::commands::Commands;
use super::figures::{Bar, Series, print_table, save};
use super::place::{Place, Sample};
use super::writers::{Load, Seen, Writers};
use crate::failure::{Failure, Outcome};

/// The longest stall that a writer may see, in seconds: that of the drop, for the locks are the same.
const STALL: f64 = 0.2;

/// How much longer the work may take at ten times the projects.
const GROWTH: f64 = 10.5;

/// The most resident memory, in MiB.
const MEMORY: f64 = 64.0;

/// Measure the ways back: restore after a drop, back-out before one.
///
/// Writers of the library in dual mode write without pause, every other one inside transactions of 50 ms, while
/// `sti-migrate restore-legacy` brings back the columns of a fresh copy of one sample that has just been dropped, and
/// `--finish` takes its triggers away; `sti-migrate back-out` then empties the subtype tables of another copy, without
/// writers. The same on a tenth of the projects. The server is one of its own with the settings that PostgreSQL comes
/// with.
///
/// Takes about ten minutes on two cores with 1,000,000 projects.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    load: Load,
    /// How often each way is gone.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    turns: u32,
}

/// What was measured on one sample.
struct Ways {
    restore: Series,
    finish: Series,
    back_out: Series,
    /// What the writers saw during each restore and its `--finish`.
    seen: Vec<Seen>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let commands = Commands::build()?;
    let place = Place::start(Backend::Postgres)?;
    let mut ways = Vec::new();
    for projects in options.load.samples() {
        println!("\n{projects} projects, {} writers, {} turns", options.load.writers, options.turns);
        let sample = place.sample(projects)?;
        commands.make_ready(&sample.url())?;
        ways.push(measure(options, &commands, &sample)?);
    }
    let bars = bars(&ways);
    let series: Vec<Series> =
        ways.into_iter().flat_map(|ways| [ways.restore, ways.finish, ways.back_out]).collect();
    println!();
    let rows: Vec<Vec<String>> = series.iter().map(|series| series.cells(series)).collect();
    print_table(&["", "seconds", "spread", "projects/s", "", "MiB"], &rows);
    println!();
    bars.iter().for_each(|bar| println!("  {}", bar.line()));
    let about =
        json!({ "projects": options.load.projects, "writers": options.load.writers, "turns": options.turns });
    println!("\nsaved in {}", save("restore", &about, &series, &bars)?.display());
    Ok(ExitCode::from(u8::from(!bars.iter().all(Bar::is_reached))))
}

fn measure(options: &Options, commands: &Commands, sample: &Sample<'_>) -> Result<Ways, Failure> {
    let named = |what: &str| Series {
        rows: sample.projects,
        ..Series::new(format!("{what}, {} projects", sample.projects))
    };
    let mut ways = Ways {
        restore: named("restore"),
        finish: named("finish"),
        back_out: named("back-out"),
        seen: Vec::new(),
    };
    for number in 1..=options.turns {
        let copy = sample.copy()?;
        commands.drop(&copy.url(), &commands.plan(&copy.url())?)?;
        let writers = Writers::start(&copy.url(), options.load.writers)?;
        let before = writers.before()?;
        let restored = commands.restore(&copy.url());
        let finished = restored.and_then(|restored| Ok((restored, commands.finish(&copy.url())?)));
        let seen = writers.stop()?;
        let (restored, finished) = finished?;
        drop(copy);
        let copy = sample.copy()?;
        let backed_out = commands.back_out(&copy.url())?;
        println!(
            "turn {number}: restore {:.1} s, finish {:.1} s, longest stall {:.0} ms ({:.0} ms before), {} calls, {} \
             failed; back-out {:.1} s",
            restored.seconds,
            finished.seconds,
            seen.longest_ms(),
            before.longest_ms(),
            seen.calls,
            seen.failed,
            backed_out.seconds
        );
        seen.errors.iter().for_each(|error| println!("  {error}"));
        ways.restore.turns.push(restored);
        ways.finish.turns.push(finished);
        ways.back_out.turns.push(backed_out);
        ways.seen.push(seen);
    }
    Ok(ways)
}

fn bars(ways: &[Ways]) -> Vec<Bar> {
    let growth = |of: fn(&Ways) -> &Series| of(&ways[1]).seconds() / of(&ways[0]).seconds();
    let seen = || ways.iter().flat_map(|ways| &ways.seen);
    let longest = seen().map(|seen| seen.longest.as_secs_f64()).fold(0.0, f64::max);
    let peak = ways.iter().flat_map(|ways| [&ways.restore, &ways.finish, &ways.back_out]);
    let peak = peak.filter_map(Series::peak_mib).fold(f64::NAN, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "a figure to be looked at")]
    let failed = seen().map(|seen| seen.failed).sum::<u64>() as f64;
    vec![
        Bar::at_most("longest stall of a writer, seconds", STALL, longest),
        Bar::at_most("failed calls", 0.0, failed),
        Bar::at_most("restore at ten times the projects", GROWTH, growth(|ways| &ways.restore)),
        Bar::at_most("back-out at ten times the projects", GROWTH, growth(|ways| &ways.back_out)),
        Bar::at_most("peak memory, MiB", MEMORY, peak),
    ]
}
