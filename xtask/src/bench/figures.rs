//! What came out of a benchmark: medians, ratios, bars, and where they are saved.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::process::Measured;
use crate::failure::{Failure, workspace};

/// One thing that was measured several times.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) turns: Vec<Measured>,
    /// Rows that each turn wrote, or projects that it looked at.
    pub(super) rows: u64,
}

impl Series {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The median of the seconds.
    pub(super) fn seconds(&self) -> f64 {
        let mut seconds: Vec<f64> = self.turns.iter().map(|turn| turn.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let middle = seconds.len() / 2;
        match seconds.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => seconds[middle],
            _ => f64::midpoint(seconds[middle - 1], seconds[middle]),
        }
    }

    /// Rows in a second.
    #[expect(clippy::cast_precision_loss, reason = "a figure to be looked at")]
    pub(super) fn throughput(&self) -> f64 {
        self.rows as f64 / self.seconds()
    }

    /// The greatest peak of all turns.
    pub(super) fn peak_mib(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a figure to be looked at")]
        self.turns.iter().filter_map(|turn| turn.peak_kib).max().map(|kib| kib as f64 / 1024.0)
    }

    /// Median, spread, throughput, ratio and memory, for a table.
    pub(super) fn cells(&self, to: &Self) -> Vec<String> {
        let slowest = self.turns.iter().map(|turn| turn.seconds).fold(f64::NAN, f64::max);
        let fastest = self.turns.iter().map(|turn| turn.seconds).fold(f64::NAN, f64::min);
        vec![
            self.name.clone(),
            format!("{:.2}", self.seconds()),
            format!("{fastest:.2}-{slowest:.2}"),
            format!("{:.0}", self.throughput()),
            format!("{:.2}", self.throughput() / to.throughput()),
            self.peak_mib().map_or_else(|| "-".to_owned(), |mib| format!("{mib:.0}")),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "rows": self.rows,
            "seconds": self.turns.iter().map(|turn| turn.seconds).collect::<Vec<_>>(),
            "median_seconds": self.seconds(),
            "rows_per_second": self.throughput(),
            "peak_mib": self.peak_mib(),
        })
    }
}

/// A figure that must be reached.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) what: String,
    pub(super) needed: f64,
    pub(super) reached: f64,
    /// Whether less is better.
    pub(super) at_most: bool,
}

impl Bar {
    pub(super) fn at_least(what: impl Into<String>, needed: f64, reached: f64) -> Self {
        Self { what: what.into(), needed, reached, at_most: false }
    }

    pub(super) fn at_most(what: impl Into<String>, needed: f64, reached: f64) -> Self {
        Self { what: what.into(), needed, reached, at_most: true }
    }

    /// What was not measured is not reached.
    pub(super) fn is_reached(&self) -> bool {
        if self.at_most { self.reached <= self.needed } else { self.reached >= self.needed }
    }

    pub(super) fn line(&self) -> String {
        let verdict = if self.is_reached() { "reached" } else { "MISSED " };
        let limit = if self.at_most { "at most" } else { "at least" };
        format!("{verdict}  {}: {:.2}, {limit} {:.2}", self.what, self.reached, self.needed)
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "needed": self.needed,
            "at_most": self.at_most,
            "found": self.reached,
            "reached": self.is_reached(),
        })
    }
}

/// Prints rows with their columns aligned.
pub(super) fn print_table(headers: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headers[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<0$}", widths[column]),
            _ => format!("{cell:>0$}", widths[column]),
        });
        println!("  {}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&headers.iter().map(|header| (*header).to_owned()).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}

/// Saves everything under `target/bench`, and gives the file.
pub(super) fn save(bench: &str, about: &Value, series: &[Series], bars: &[Bar]) -> Result<PathBuf, Failure> {
    let folder = workspace().join("target/bench");
    fs::create_dir_all(&folder).map_err(Failure::during(format!("make {}", folder.display())))?;
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let file = folder.join(format!("{bench}-{at}.json"));
    let document = json!({
        "bench": bench,
        "unix_time": at,
        "about": about,
        "series": series.iter().map(Series::json).collect::<Vec<_>>(),
        "bars": bars.iter().map(Bar::json).collect::<Vec<_>>(),
    });
    fs::write(&file, format!("{document:#}\n"))
        .map_err(Failure::during(format!("write {}", file.display())))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(seconds: &[f64]) -> Series {
        let turns = seconds.iter().map(|&seconds| Measured { seconds, peak_kib: Some(2048) }).collect();
        Series { name: "x".to_owned(), turns, rows: 100 }
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((series(&[3.0, 1.0, 2.0]).seconds() - 2.0).abs() < 1e-9);
        assert!((series(&[4.0, 1.0]).seconds() - 2.5).abs() < 1e-9);
        assert!((series(&[2.0]).throughput() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_measured_reaches_no_bar() {
        let nothing = series(&[]);
        assert!(!Bar::at_least("a", 1.0, nothing.throughput()).is_reached());
        assert!(!Bar::at_most("b", 1.0, nothing.seconds()).is_reached());
        assert!(Bar::at_most("c", 2.0, 2.0).is_reached());
    }
}
