//! `cargo xtask bench verify`: our verification beside the one statement that gives the same classes and counts.

mod contender;
mod statement;

use std::process::ExitCode;

use serde_json::json;
use sti_core::db::{Backend, DatabaseUrl};

use self::contender::Contender;
use super::build;
use super::figures::{Bar, Series, print_table, save};
use super::place::{Place, execute};
use crate::failure::{Failure, Outcome};
use crate::sample;

/// Two measurements of the same thing differ by this much: a ratio above it is "not slower".
const NOISE: f64 = 0.95;

/// Measure the verification.
///
/// In turns, on one sample in which most projects have their row and every class occurs: the one SQL statement that a
/// person would write to have the same classes and counts, `sti-verify` without samples, with its default samples, and
/// with the ids of all findings in a file. Before that, the counts of the first two must be the same. The server is one
/// of its own with the settings that PostgreSQL comes with.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many projects; several sizes with commas between them.
    #[arg(long, value_name = "N", default_value = "1000000,5000000", value_delimiter = ',')]
    projects: Vec<u64>,
    /// How often each is measured; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    turns: u32,
    /// One backend instead of both.
    #[arg(long, value_name = "BACKEND", value_parser = ["postgres", "sqlite"])]
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    build("sti-verify")?;
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let mut all_reached = true;
    for (name, backend) in [("postgres", Backend::Postgres), ("sqlite", Backend::Sqlite)] {
        if wanted(name) {
            all_reached &= measure(options, name, backend)?;
        }
    }
    Ok(ExitCode::from(u8::from(!all_reached)))
}

/// Whether every bar of this backend was reached, at every size.
fn measure(options: &Options, name: &str, backend: Backend) -> Result<bool, Failure> {
    let (mut bars, mut all) = (Vec::new(), Vec::new());
    for &projects in &options.projects {
        println!("\n{backend}: {projects} projects, {} turns", options.turns);
        let series = at_size(options, backend, projects)?;
        let [statement, pass, ..] = &series[..] else { return Err(Failure::new("nothing was measured")) };
        let ratio = pass.throughput() / statement.throughput();
        bars.push(Bar::at_least(format!("{projects} projects, throughput to the statement"), NOISE, ratio));
        let rows: Vec<Vec<String>> = series.iter().map(|series| series.cells(statement)).collect();
        println!();
        print_table(&["", "seconds", "from-to", "projects/s", "to statement", "peak MiB"], &rows);
        all.extend(series);
    }
    let peaks: Vec<f64> = all.iter().filter_map(Series::peak_mib).collect();
    let greatest = peaks.iter().copied().fold(f64::NAN, f64::max);
    let least = peaks.iter().copied().fold(f64::NAN, f64::min);
    bars.push(Bar::at_most("peak resident memory, MiB", 64.0, greatest));
    bars.push(Bar::at_most(
        "greatest peak of any size and file of ids to the least, MiB more",
        8.0,
        greatest - least,
    ));
    println!();
    bars.iter().for_each(|bar| println!("  {}", bar.line()));
    let about = json!({ "backend": name, "projects": options.projects, "turns": options.turns });
    println!("\nsaved in {}", save(&format!("verify-{name}"), &about, &all, &bars)?.display());
    Ok(bars.iter().all(Bar::is_reached))
}

/// Measures all of them once, then all of them again, so that a slow minute of the machine hits everybody. They only
/// read, so they share one database.
fn at_size(options: &Options, backend: Backend, projects: u64) -> Result<Vec<Series>, Failure> {
    let place = Place::start(backend)?;
    let url = prepared(&place, projects)?;
    statement::check(&url)?;
    let mut all: Vec<Series> = Contender::ALL
        .iter()
        .map(|contender| Series::new(format!("{contender}, {projects} projects")))
        .collect();
    for turn in 1..=options.turns {
        for (contender, series) in Contender::ALL.iter().zip(&mut all) {
            let measured = contender.run(&url)?;
            println!("turn {turn}: {contender}: {:.2} s", measured.seconds);
            series.turns.push(measured);
            series.rows = projects;
        }
    }
    Ok(all)
}

/// A sample as a backfill leaves it that has not come to its end: one project in 256 lacks its row, and what the sample
/// has in the way of drift, wrong kinds, unknown types and stray values is still there.
fn prepared(place: &Place, projects: u64) -> Result<String, Failure> {
    let url = place.make("verify")?;
    let parsed = DatabaseUrl::parse(&url).map_err(|error| Failure::new(error.to_string()))?;
    sample::fill(&parsed, projects, 1)?;
    let ids = match place {
        Place::Postgres(_) => "CAST(p.id AS text)",
        Place::Sqlite(_) => "p.id",
    };
    for (kind, table, columns) in [
        ("school", "projects_schoolproject", &["course_name", "course_code", "teacher_name"][..]),
        ("self_study", "projects_selfstudyproject", &["goal_description", "study_frequency"]),
    ] {
        let values: Vec<String> = columns.iter().map(|column| format!("COALESCE(p.{column}, '')")).collect();
        execute(
            &url,
            &format!(
                "INSERT INTO {table} (project_id, {}) SELECT p.id, {} FROM projects_project p \
                 WHERE p.project_type = '{kind}' AND substr({ids}, 1, 2) <> '00' \
                 AND NOT EXISTS (SELECT 1 FROM projects_schoolproject r WHERE r.project_id = p.id) \
                 AND NOT EXISTS (SELECT 1 FROM projects_selfstudyproject r WHERE r.project_id = p.id)",
                columns.join(", "),
                values.join(", ")
            ),
        )?;
    }
    place.vacuum(&url)?;
    Ok(url)
}
