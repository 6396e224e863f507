//! `cargo xtask bench drop`: how long writers stall while the legacy columns are dropped.

use std::process::ExitCode;

use serde_json::json;
use sti_core::db::Backend;

use super::commands::{Commands, Done};
use super::figures::{Bar, Series, print_table, save};
use super::place::{Place, Sample};
use super::process::Measured;
use super::writers::{Load, Seen, Writers};
use crate::failure::{Failure, Outcome};

/// The longest stall that a writer may see, in seconds.
const STALL: f64 = 0.2;

/// How much longer it may be at ten times the projects.
const GROWTH: f64 = 2.0;

/// Measure the drop of the legacy columns.
///
/// Writers of the library in dual mode write without pause, every other one inside transactions of 50 ms, while
/// `sti-migrate drop-legacy --execute` drops the columns of a fresh copy of one sample, again and again; and the same on a
/// tenth of the projects. What counts is the longest time that any call of any writer took, over all drops, from the
/// moment at which the command begins. The server is one of its own with the settings that PostgreSQL comes with.
///
/// Takes a while: on two cores about half an hour with 1,000,000 projects, a minute with 10,000. No drop may take longer
/// than ten minutes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    load: Load,
    /// How many drops of each sample.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=999))]
    drops: u32,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let commands = Commands::build()?;
    let place = Place::start(Backend::Postgres)?;
    let mut series = Vec::new();
    let mut turns = Vec::new();
    for projects in options.load.samples() {
        println!("\n{projects} projects, {} writers, {} drops", options.load.writers, options.drops);
        let sample = place.sample(projects)?;
        commands.make_ready(&sample.url())?;
        let measured = measure(options, &commands, &sample)?;
        series.push(stalls(projects, &measured));
        turns.push(measured);
    }
    let longest: Vec<f64> = turns.iter().map(|turns| longest(turns)).collect();
    let failed: u64 = turns.iter().flatten().map(|turn| turn.seen.failed).sum();
    #[expect(clippy::cast_precision_loss, reason = "a figure to be looked at")]
    let bars = [
        Bar::at_most("longest stall of a writer, seconds", STALL, longest[1]),
        Bar::at_most("longest stall at ten times the projects", GROWTH, longest[1] / longest[0]),
        Bar::at_most("failed calls", 0.0, failed as f64),
    ];
    println!();
    print_table(
        &HEADERS,
        &turns.iter().zip(&series).map(|(turns, series)| cells(turns, series)).collect::<Vec<_>>(),
    );
    println!();
    bars.iter().for_each(|bar| println!("  {}", bar.line()));
    let about = json!({
        "projects": options.load.projects,
        "writers": options.load.writers,
        "drops": options.drops,
        "locks_held_ms": turns.iter().map(|turns| turns.iter().map(|turn| turn.done.held_ms).collect()).collect::<Vec<Vec<_>>>(),
        "attempts": turns.iter().map(|turns| turns.iter().map(|turn| turn.done.attempts).collect()).collect::<Vec<Vec<_>>>(),
        "longest_before_ms": turns.iter().map(|turns| turns.iter().map(|turn| turn.before.longest_ms()).collect()).collect::<Vec<Vec<_>>>(),
        "calls": turns.iter().flatten().map(|turn| turn.seen.calls).sum::<u64>(),
    });
    println!("\nsaved in {}", save("drop", &about, &series, &bars)?.display());
    Ok(ExitCode::from(u8::from(!bars.iter().all(Bar::is_reached))))
}

/// One drop.
struct Turn {
    done: Done,
    /// What the writers saw before it, for as long as a second.
    before: Seen,
    /// What they saw during it.
    seen: Seen,
}

fn measure(options: &Options, commands: &Commands, sample: &Sample<'_>) -> Result<Vec<Turn>, Failure> {
    let mut turns = Vec::new();
    for number in 1..=options.drops {
        let copy = sample.copy()?;
        let plan = commands.plan(&copy.url())?;
        let writers = Writers::start(&copy.url(), options.load.writers)?;
        let before = writers.before()?;
        let done = commands.drop(&copy.url(), &plan);
        let seen = writers.stop()?;
        let done = done?;
        println!(
            "drop {number}: {:.1} s, locks held {} ms, {} attempts; longest stall {:.0} ms ({:.0} ms before), {} calls, \
             {} failed",
            done.seconds,
            done.held_ms,
            done.attempts,
            seen.longest_ms(),
            before.longest_ms(),
            seen.calls,
            seen.failed
        );
        seen.errors.iter().for_each(|error| println!("  {error}"));
        turns.push(Turn { done, before, seen });
    }
    Ok(turns)
}

fn longest(turns: &[Turn]) -> f64 {
    turns.iter().map(|turn| turn.seen.longest.as_secs_f64()).fold(0.0, f64::max)
}

fn stalls(projects: u64, turns: &[Turn]) -> Series {
    Series {
        name: format!("longest stall in each drop, {projects} projects"),
        turns: turns
            .iter()
            .map(|turn| Measured { seconds: turn.seen.longest.as_secs_f64(), peak_kib: None })
            .collect(),
        rows: projects,
    }
}

const HEADERS: [&str; 6] = ["", "median ms", "longest ms", "without ms", "locks held ms", "attempts"];

fn cells(turns: &[Turn], series: &Series) -> Vec<String> {
    let most = |of: fn(&Turn) -> i64| turns.iter().map(of).max().unwrap_or_default();
    let without = turns.iter().map(|turn| turn.before.longest_ms()).fold(0.0, f64::max);
    vec![
        series.name.clone(),
        format!("{:.0}", series.seconds() * 1000.0),
        format!("{:.0}", longest(turns) * 1000.0),
        format!("{without:.0}"),
        format!("{}", most(|turn| turn.done.held_ms)),
        format!("{}", most(|turn| turn.done.attempts)),
    ]
}
