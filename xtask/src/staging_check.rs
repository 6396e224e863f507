//! `cargo xtask staging-check`: the whole rollout, walked from end to end with the tools as their user runs them.

mod census;
mod database;
mod django;
mod environment;
mod everything;
mod ledger;
mod place;
mod plant;
mod report;
mod row;
mod service;
mod sides;
mod steps;
mod tools;
mod walk;

use std::fs;
use std::path::{self, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::builder::PossibleValuesParser;

use crate::failure::{Failure, Outcome, workspace};
use environment::Environment;
use place::Place;
use plant::Planted;
use report::Report;
use tools::Tools;
use walk::{Memory, Walk};

/// Walk the rollout plan from end to end and write a report with the evidence of each step.
///
/// Without arguments: a fresh SQLite file with awkward projects, as Django would have made it. Builds sti, sti-verify and
/// sti-migrate and runs them as commands: expand, count, dry run, backfill killed and resumed, verify, guard, repair,
/// rehearsal, drop, services through the drop, restore, finish, back to ENABLE_STI=false. Every verdict comes from this
/// task's own plain SQL; what the tools say is compared with it. report.md and report.json have each command with its
/// exit code, and each check with what was expected and found.
///
/// Exit code: 0 when every step passed, 1 when one failed, 2 when the walk could not be made.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// On a PostgreSQL server that is started for it and gone afterwards.
    #[arg(long, group = "where")]
    postgres: bool,
    /// On an empty database (or one that an earlier walk filled): postgres://USER@HOST/DATABASE or sqlite:PATH.
    #[arg(long, value_name = "URL", group = "where")]
    scratch_url: Option<String>,
    /// On a staging copy with real rows: no sample, nothing broken on purpose, the drop only rehearsed. Refused where the
    /// legacy columns are gone, a restore is not finished, or triggers of `sti-migrate sync` are there.
    #[arg(long, value_name = "URL", group = "where", conflicts_with = "plant")]
    database_url: Option<String>,
    /// Drop and restore the legacy columns of the staging copy too.
    #[arg(long, requires = "database_url")]
    allow_destructive: bool,
    /// How many projects the sample has.
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(200..=1_000_000))]
    projects: u64,
    /// Which sample: any number.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where report.md and report.json go, and the SQLite file [default: target/staging-check].
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Plant a defect, to see its step fail and no other.
    #[arg(long, value_name = "DEFECT", value_parser = PossibleValuesParser::new(plant::names()), hide_possible_values = true)]
    plant: Option<String>,
    /// Print the defects that can be planted, and do nothing else.
    #[arg(long)]
    list_defects: bool,
    /// Run the binaries of this folder instead of building them.
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    if options.list_defects {
        for name in plant::names() {
            println!("{}", Planted::of(name)?.words());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let planted = options.plant.as_deref().map(Planted::of).transpose()?;
    let folder = options.report.clone().unwrap_or_else(|| workspace().join("target/staging-check"));
    let folder = path::absolute(folder).map_err(Failure::during("find the folder of the report"))?;
    fs::create_dir_all(&folder).map_err(Failure::during(format!("make {}", folder.display())))?;
    // Whoever looks meanwhile, or after a walk that could not be made, finds no verdict of an earlier one.
    report::begin(&folder)?;
    let tools = options.binaries.clone().map_or_else(Tools::build, Tools::in_folder)?;
    let place = Place::of(options, &folder)?;
    let environment = Environment::look(place.database(), &tools)?;
    println!("cargo xtask staging-check: {}", environment.database);
    println!("This is {}.", place.words);
    if let Some(planted) = &planted {
        println!("Planted on purpose: {}.", planted.words());
    }
    println!();

    let began = Instant::now();
    let sample = (!place.is_real()).then_some((options.projects, options.seed));
    let (words, plant) = (place.words.clone(), planted.as_ref().map(Planted::words));
    let (projects, seed) = (options.projects, options.seed);
    let mut walk = Walk { place, tools, projects, seed, planted, memory: Memory::default() };
    let rows = walk.go(&steps::ALL)?;
    let report = Report { environment, place: words, sample, planted: plant, rows, took: began.elapsed() };
    report.write(&folder)?;
    println!("\n{} in {:.1} s", report.verdict(), report.took.as_secs_f64());
    println!(
        "{} has the evidence, report.json beside it the same for programs",
        folder.join("report.md").display()
    );
    Ok(ExitCode::from(u8::from(!report.passes())))
}
