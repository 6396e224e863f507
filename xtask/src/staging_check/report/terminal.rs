//! What the person at the terminal sees.

use super::super::row::{Check, Row, Verdict};

/// A value that is longer is cut here; the reports have it whole.
const WIDEST: usize = 90;

/// One row, as soon as it stands.
pub(in super::super) fn row(number: usize, row: &Row) {
    let (verdict, id, title, seconds) = (row.verdict.word(), row.id, row.title, row.took.as_secs_f64());
    println!("{number:>3} {verdict:<8} {id:<16} {title} ({seconds:.1} s)");
    for ran in &row.commands {
        println!("      $ {}   -> {}", ran.line, ran.exit_words());
    }
    for check in row.checks.iter().filter(|check| !(check.holds && check.is_exit_code())) {
        println!("      {}", line(check));
    }
    if let Some(why) = &row.why {
        let word = if row.verdict == Verdict::Fail { "stopped" } else { "because" };
        println!("      {word}: {why}");
    }
}

fn line(Check { what, expected, found, holds }: &Check) -> String {
    let (expected, found) = (cut(expected), cut(found));
    match (holds, expected == found) {
        (true, true) => format!("ok    {what}: {found}"),
        (true, false) => format!("ok    {what}: {found} (expected: {expected})"),
        (false, _) => format!("FAIL  {what}: expected {expected}, found {found}"),
    }
}

fn cut(text: &str) -> String {
    let text = if text.is_empty() { "none" } else { text };
    let mut cut: String = text.chars().take(WIDEST).collect();
    if text.chars().count() > WIDEST {
        cut.push('…');
    }
    cut
}
