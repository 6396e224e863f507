//! `cargo xtask bench backfill`: our backfill beside the database's own `INSERT … SELECT`, and beside row by row.

mod contender;
mod row_by_row;

use std::process::ExitCode;

use serde_json::json;
use sti_core::db::Backend;

use self::contender::Contender;
use super::build;
use super::figures::{Bar, Series, print_table, save};
use super::place::{Place, Sample, Setting};
use crate::failure::{Failure, Outcome};

/// Measure the backfill.
///
/// In turns, each on a fresh copy of one sample: `sti backfill` with 1, 2 and 4 workers (1 on SQLite), its dry run, one
/// raw INSERT … SELECT per subtype table as the database's limit, and row by row through diesel. Then the backfill and
/// the raw statements on a tenth of the rows. The server is one of its own with the settings that PostgreSQL comes with,
/// unless others are given.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many projects.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    projects: u64,
    /// How often each is measured; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    turns: u32,
    /// One backend instead of both.
    #[arg(long, value_name = "BACKEND", value_parser = ["postgres", "sqlite"])]
    only: Option<String>,
    /// A setting of the PostgreSQL server, such as shared_buffers=1GB: shows what a figure depends on.
    #[arg(long = "server-setting", value_name = "NAME=VALUE")]
    server_settings: Vec<Setting>,
    /// What every `sti backfill` gets besides, such as --chunk=5000.
    #[arg(last = true)]
    backfill: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    build("sti-cli")?;
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let mut all_reached = true;
    for (name, backend) in [("postgres", Backend::Postgres), ("sqlite", Backend::Sqlite)] {
        if wanted(name) {
            all_reached &= measure(options, name, backend)?;
        }
    }
    Ok(ExitCode::from(u8::from(!all_reached)))
}

/// Whether every bar of this backend was reached.
fn measure(options: &Options, name: &str, backend: Backend) -> Result<bool, Failure> {
    println!("\n{backend}: {} projects, {} turns", options.projects, options.turns);
    let place = Place::start_with(backend, &options.server_settings)?;
    let full = place.sample(options.projects)?;
    let tenth = place.sample((options.projects / 10).max(1))?;
    // One writer has all of a SQLite file.
    let workers: &[u32] = if backend == Backend::Postgres { &[1, 2, 4] } else { &[1] };

    let mut contenders = vec![Contender::Raw];
    if backend == Backend::Sqlite {
        contenders.push(Contender::RawWithCache);
    }
    contenders.extend(workers.iter().map(|&workers| Contender::Backfill { workers }));
    contenders.extend([Contender::DryRun, Contender::RowByRow]);
    let mut series = in_turns(options, &full, &contenders)?;
    let mut small = in_turns(options, &tenth, &[Contender::Backfill { workers: 1 }, Contender::Raw])?;
    small.iter_mut().for_each(|series| series.name = format!("{}, {} projects", series.name, tenth.projects));

    let of = |contender: Contender| {
        series
            .iter()
            .find(|series| series.name == contender.to_string())
            .ok_or_else(|| Failure::new(format!("{contender} was not measured")))
    };
    let (raw, one) = (of(Contender::Raw)?, of(Contender::Backfill { workers: 1 })?);
    let ratio = |of: &Series| of.throughput() / raw.throughput();
    let mut bars = Vec::new();
    if backend == Backend::Postgres {
        bars.push(Bar::at_least("one worker, throughput to raw", 0.8, ratio(one)));
        let two = of(Contender::Backfill { workers: 2 })?;
        bars.push(Bar::at_least("two workers, throughput to raw", 1.2, ratio(two)));
    } else {
        bars.push(Bar::at_least("throughput to raw", 0.85, ratio(one)));
    }
    let dry = of(Contender::DryRun)?;
    bars.push(Bar::at_least("dry run, times as fast as the live run", 3.0, one.seconds() / dry.seconds()));
    bars.push(Bar::at_most("time at ten times the rows", 10.5, one.seconds() / small[0].seconds()));
    let raw_growth = raw.seconds() / small[1].seconds();
    let peak = series.iter().filter(|series| series.name.starts_with("sti ")).filter_map(Series::peak_mib);
    bars.push(Bar::at_most("peak resident memory, MiB", 64.0, peak.fold(f64::NAN, f64::max)));

    let rows: Vec<Vec<String>> = series.iter().chain(&small).map(|series| series.cells(raw)).collect();
    println!();
    print_table(&["", "seconds", "from-to", "rows/s", "to raw", "peak MiB"], &rows);
    println!();
    bars.iter().for_each(|bar| println!("  {}", bar.line()));
    println!("           raw itself takes {raw_growth:.2} times the time at ten times the rows");
    let reached = bars.iter().all(Bar::is_reached);
    let about = json!({
        "backend": name,
        "projects": options.projects,
        "turns": options.turns,
        "arguments": options.backfill,
        "server_settings": options.server_settings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "raw_at_ten_times_the_rows": raw_growth,
    });
    series.extend(small);
    println!("\nsaved in {}", save(&format!("backfill-{name}"), &about, &series, &bars)?.display());
    Ok(reached)
}

/// Measures all of them once, then all of them again, so that a slow minute of the machine hits everybody.
fn in_turns(
    options: &Options,
    sample: &Sample<'_>,
    contenders: &[Contender],
) -> Result<Vec<Series>, Failure> {
    let mut all: Vec<Series> =
        contenders.iter().map(|contender| Series::new(contender.to_string())).collect();
    for turn in 1..=options.turns {
        for (contender, series) in contenders.iter().zip(&mut all) {
            let copy = sample.copy()?;
            let done = contender.run(&copy.url(), sample.projects, &options.backfill)?;
            println!("turn {turn}: {}: {:.2} s, {} rows", series.name, done.measured.seconds, done.rows);
            if turn > 1 && done.rows != series.rows {
                return Err(Failure::new(format!(
                    "{}: {} rows in this turn, {} in the one before: nothing to compare",
                    series.name, done.rows, series.rows
                )));
            }
            series.turns.push(done.measured);
            series.rows = done.rows;
        }
    }
    let whole = all.iter().zip(contenders).filter(|(_, contender)| contender.writes_all());
    let mut whole = whole.map(|(series, _)| (&series.name, series.rows));
    if let Some((first, rows)) = whole.next()
        && let Some((other, others)) = whole.find(|&(_, others)| others != rows)
    {
        return Err(Failure::new(format!("{first} wrote {rows} rows, {other} {others}: nothing to compare")));
    }
    Ok(all)
}
